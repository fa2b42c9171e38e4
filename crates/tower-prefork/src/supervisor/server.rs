use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    fleet::{Current, Fleet},
    out_of_memory::OomKills,
    program::Program,
    reload::Place,
    run::{Charge, Event, log_ready},
    slot::{Slot, Stop},
};
use crate::{
    config::{Config, ConfigSources},
    listener::{Bound, Listener, Local},
    operator::ServerStatus,
};

/// One server: its listeners, and the slots of its workers.
#[derive(Debug)]
pub(super) struct Supervised {
    pub(super) fleet: Arc<Fleet>,
    pub(super) bound: Arc<Bound>,
    /// Where its settings come from.
    pub(super) sources: ConfigSources,
    /// What a reload that has replaced no worker goes back to.
    before: Option<(Arc<Config>, Arc<Bound>)>,
    places: Vec<(Place, watch::Sender<Stop>)>,
    /// Slots that were taken away, and may still have something to finish.
    leaving: Vec<watch::Sender<Stop>>,
    /// The slots that have had a worker that was ready.
    ready: BTreeSet<usize>,
}

impl Supervised {
    pub(super) fn new(
        index: usize,
        charge: Charge,
        program: &Program,
        oom_kills: &Arc<OomKills>,
    ) -> Self {
        let bound = Arc::new(charge.bound);
        let fleet = Fleet::new(
            index,
            charge.name,
            program.clone(),
            oom_kills.clone(),
            charge.hooks,
            &bound,
            charge.config,
        );
        Self {
            fleet: Arc::new(fleet),
            bound,
            sources: charge.sources,
            before: None,
            places: Vec::new(),
            leaving: Vec::new(),
            ready: BTreeSet::new(),
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.places.len()
    }

    /// Starts or ends slots until there are so many: the last ones go first, and finish what they run.
    pub(super) fn scale(
        &mut self,
        workers: usize,
        slots: &mut JoinSet<usize>,
        events: &mpsc::Sender<Event>,
    ) {
        let surplus = self.places.split_off(workers.min(self.places.len()));
        let deadline = self.fleet.deadline();
        for (_, stop) in surplus {
            stop.send_replace(Stop::Retire(deadline));
            self.leaving.push(stop);
        }
        self.leaving.retain(|stop| !stop.is_closed());
        for index in self.places.len()..workers {
            let (orders, receiver) = mpsc::channel(1);
            let (stop, stopped) = watch::channel(Stop::No);
            let slot = Slot::new(self.fleet.clone(), index, events.clone(), receiver, stopped);
            slots.spawn(slot.run());
            let place = Place {
                fleet: self.fleet.clone(),
                slot: index,
                orders,
            };
            self.places.push((place, stop));
        }
    }

    /// Workers are started with this from now on.
    pub(super) fn change(&mut self, config: Config, bound: Bound) {
        let bound = Arc::new(bound);
        let current = Current {
            config: Arc::new(config),
            bound: Arc::downgrade(&bound),
        };
        let Current { config, .. } = self.fleet.change(current);
        let bound = std::mem::replace(&mut self.bound, bound);
        self.before = Some((config, bound));
    }

    /// What was changed holds: listeners that are not needed any more are closed.
    pub(super) fn keep_change(&mut self) {
        let Some((config, before)) = self.before.take() else {
            return;
        };
        for listener in added(&before, &self.bound) {
            let address = listener.url(self.fleet.config().is_encrypted());
            tracing::info!(server = self.fleet.name, %address, "listening");
        }
        let gone = added(&self.bound, &before).map(|listener| listener.url(config.is_encrypted()));
        let gone: Vec<_> = gone.collect();
        // What the log says is true then.
        drop(before);
        for address in gone {
            tracing::info!(server = self.fleet.name, %address, "no longer listening");
        }
    }

    /// What was changed does not hold.
    pub(super) fn undo_change(&mut self) {
        if let Some((config, bound)) = self.before.take() {
            if let Err(error) = bound.set_mode(config.socket_mode) {
                tracing::warn!(%error, "a Unix socket keeps the permissions of the reload that has failed");
            }
            self.fleet.change(Current {
                config,
                bound: Arc::downgrade(&bound),
            });
            self.bound = bound;
        }
    }

    /// Tells all slots to stop.
    pub(super) fn stop(&self, how: Stop) {
        let places = self.places.iter().map(|(_, stop)| stop);
        for stop in places.chain(&self.leaving) {
            stop.send_replace(how);
        }
    }

    /// Gives up the supervisor's copies of the listeners.
    pub(super) fn close(&mut self) -> Arc<Bound> {
        std::mem::take(&mut self.bound)
    }

    /// Where to send orders for the workers.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().map(|(place, _)| place.clone())
    }

    /// A worker is ready in this slot. When there was one in each, the server is.
    pub(super) fn one_more_ready(&mut self, slot: usize) {
        if self.fleet.is_established() {
            return;
        }
        self.ready.insert(slot);
        if self.ready.len() != self.places.len() {
            return;
        }
        self.fleet.establish();
        log_ready(&self.fleet.name, self.addresses(), self.places.len());
    }

    /// Where it listens, as an operator reads it.
    fn addresses(&self) -> Vec<String> {
        let encrypted = self.fleet.config().is_encrypted();
        let listeners = self.bound.listeners.iter();
        listeners.map(|one| one.local().url(encrypted)).collect()
    }

    pub(super) fn status(&self) -> ServerStatus {
        ServerStatus {
            name: self.fleet.name.clone(),
            addresses: self.addresses(),
            workers: self.fleet.workers(),
        }
    }
}

/// Where `after` listens and `before` does not.
fn added<'a>(before: &'a Bound, after: &'a Bound) -> impl Iterator<Item = &'a Local> {
    let locals = |bound: &'a Bound| bound.listeners.iter().map(Listener::local);
    locals(after).filter(move |local| locals(before).all(|other| other != *local))
}
