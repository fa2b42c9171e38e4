//! One server, as the supervisor's event loop sees it: its listeners and its slots.

#[cfg(feature = "tls")]
use std::time::SystemTime;
use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    event_loop::{ServerSetup, SlotEvent},
    exit_cause::OomKills,
    program::Program,
    server_state::{ServerState, WorkerSetup},
    slot::{ShutdownMode, Slot},
};
#[cfg(feature = "tls")]
use crate::certificates::CertificateMonitor;
use crate::{
    config::{Config, ConfigSources},
    listener::{Bound, Listener},
    operator::{CertificateStatus, ServerStatus},
    system::log_ready,
};

/// One server: its listeners, and the slots of its workers.
#[derive(Debug)]
pub(super) struct SupervisedServer {
    pub(super) state: Arc<ServerState>,
    pub(super) bound: Arc<Bound>,
    /// A reload reads them again.
    pub(super) sources: ConfigSources,
    /// What is used of the certificates, and is sent to workers when it changes.
    #[cfg(feature = "tls")]
    certificates: CertificateMonitor,
    /// What a reload that fails at the first worker restores.
    previous: Option<(Arc<Config>, Arc<Bound>)>,
    slots: Vec<(SlotHandle, watch::Sender<ShutdownMode>)>,
    /// Slots that were removed, and may still have requests to finish.
    removed: Vec<watch::Sender<ShutdownMode>>,
    /// The slots that have had a worker that was ready.
    ready: BTreeSet<usize>,
}

/// Requests a replacement of a slot's worker. The response comes when the new worker serves, or is the reason why the old one
/// stays.
pub(super) type ReplaceRequest = oneshot::Sender<Result<(), String>>;

/// Replaces the worker of a slot.
#[derive(Clone, Debug)]
pub(super) struct SlotHandle {
    state: Arc<ServerState>,
    index: usize,
    requests: mpsc::Sender<ReplaceRequest>,
}

impl SlotHandle {
    pub(super) fn server(&self) -> &str {
        &self.state.name
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Replaces the worker. The error is the reason why the old one stays.
    pub(super) async fn replace(&self) -> Result<(), String> {
        let (request, response) = oneshot::channel();
        if self.requests.send(request).await.is_ok()
            && let Ok(response) = response.await
        {
            return response;
        }
        // The slot was removed, and there is no worker to replace.
        Ok(())
    }
}

impl SupervisedServer {
    pub(super) fn new(
        index: usize,
        setup: ServerSetup,
        program: &Program,
        oom_kills: &Arc<OomKills>,
    ) -> Self {
        let bound = Arc::new(setup.bound);
        #[cfg_attr(not(feature = "tls"), expect(unused_mut))]
        let mut config = setup.config;
        #[cfg(feature = "tls")]
        let mut certificates = CertificateMonitor::new(&setup.name);
        #[cfg(feature = "tls")]
        certificates.share(&mut config.tls);
        let state = ServerState::new(
            index,
            setup.name,
            program.clone(),
            oom_kills.clone(),
            setup.hooks,
            &bound,
            config,
        );
        Self {
            state: Arc::new(state),
            bound,
            sources: setup.sources,
            #[cfg(feature = "tls")]
            certificates,
            previous: None,
            slots: Vec::new(),
            removed: Vec::new(),
            ready: BTreeSet::new(),
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.slots.len()
    }

    /// Adds or removes slots until there are this many. The last ones are removed first, and finish their requests.
    pub(super) fn scale(
        &mut self,
        workers: usize,
        tasks: &mut JoinSet<usize>,
        events: &mpsc::Sender<SlotEvent>,
    ) {
        let surplus = self.slots.split_off(workers.min(self.slots.len()));
        let deadline = self.state.deadline();
        for (_, shutdown) in surplus {
            shutdown.send_replace(ShutdownMode::Retire(deadline));
            self.removed.push(shutdown);
        }
        self.removed.retain(|shutdown| !shutdown.is_closed());
        for index in self.slots.len()..workers {
            let (requests, receiver) = mpsc::channel(1);
            let (shutdown, mode) = watch::channel(ShutdownMode::None);
            let slot = Slot::new(self.state.clone(), index, events.clone(), receiver, mode);
            tasks.spawn(slot.run());
            let handle = SlotHandle {
                state: self.state.clone(),
                index,
                requests,
            };
            self.slots.push((handle, shutdown));
        }
    }

    /// Changes what workers are started with.
    pub(super) fn change(
        &mut self,
        #[cfg_attr(not(feature = "tls"), expect(unused_mut))] mut config: Config,
        bound: Bound,
    ) {
        #[cfg(feature = "tls")]
        self.certificates.share(&mut config.tls);
        let bound = Arc::new(bound);
        let setup = WorkerSetup {
            config: Arc::new(config),
            bound: Arc::downgrade(&bound),
        };
        let WorkerSetup { config, .. } = self.state.change(setup);
        let bound = std::mem::replace(&mut self.bound, bound);
        self.previous = Some((config, bound));
    }

    /// Keeps the change, and closes listeners that are not needed any more.
    pub(super) fn keep_change(&mut self) {
        let Some((config, previous)) = self.previous.take() else {
            return;
        };
        for listener in added(&previous, &self.bound) {
            let address = listener.url(self.state.config().is_encrypted());
            tracing::info!(server = self.state.name, %address, "listening");
        }
        let gone =
            added(&self.bound, &previous).map(|listener| listener.url(config.is_encrypted()));
        let gone: Vec<_> = gone.collect();
        // The log line follows the close.
        drop(previous);
        for address in gone {
            tracing::info!(server = self.state.name, %address, "no longer listening");
        }
    }

    /// Undoes the change.
    pub(super) fn undo_change(&mut self) {
        if let Some((config, bound)) = self.previous.take() {
            if let Err(error) = bound.set_mode(config.socket_mode) {
                tracing::warn!(%error, "a Unix socket keeps the permissions of the reload that failed");
            }
            #[cfg(feature = "tls")]
            self.certificates.set(config.tls.clone());
            self.state.change(WorkerSetup {
                config,
                bound: Arc::downgrade(&bound),
            });
            self.bound = bound;
        }
    }

    /// Sends certificates that have changed to the workers, and warns before one expires. Not while the configuration changes.
    #[cfg(feature = "tls")]
    pub(super) fn check_certificates(&mut self) {
        let Some(tls) = self.certificates.check(SystemTime::now()) else {
            return;
        };
        let mut config = Config::clone(&self.state.config());
        config.tls = Some(tls);
        self.state.change(WorkerSetup {
            config: Arc::new(config),
            bound: Arc::downgrade(&self.bound),
        });
        self.state.send_certificates();
    }

    /// Shuts all slots down.
    pub(super) fn stop(&self, mode: ShutdownMode) {
        let slots = self.slots.iter().map(|(_, shutdown)| shutdown);
        for shutdown in slots.chain(&self.removed) {
            shutdown.send_replace(mode);
        }
    }

    /// Takes the supervisor's copies of the listeners, to be closed.
    pub(super) fn close(&mut self) -> Arc<Bound> {
        std::mem::take(&mut self.bound)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = SlotHandle> {
        self.slots.iter().map(|(slot, _)| slot.clone())
    }

    /// A worker is ready in this slot. The server is ready when each slot has had one.
    pub(super) fn worker_ready(&mut self, slot: usize) {
        if self.state.is_established() {
            return;
        }
        self.ready.insert(slot);
        if self.ready.len() != self.slots.len() {
            return;
        }
        self.state.establish();
        log_ready(&self.state.name, self.addresses(), self.slots.len());
    }

    /// The addresses that it listens on, as an operator reads them.
    fn addresses(&self) -> Vec<String> {
        let encrypted = self.state.config().is_encrypted();
        let listeners = self.bound.listeners.iter();
        listeners.map(|one| one.url(encrypted)).collect()
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "without TLS there are none")
    )]
    fn certificates(&self) -> Vec<CertificateStatus> {
        #[cfg(feature = "tls")]
        {
            let now = SystemTime::now();
            let certificates = self.certificates.summaries().iter();
            let status = |one| CertificateStatus::of(one, now);
            certificates.map(status).collect()
        }
        #[cfg(not(feature = "tls"))]
        Vec::new()
    }

    pub(super) fn status(&self) -> ServerStatus {
        ServerStatus {
            name: self.state.name.clone(),
            addresses: self.addresses(),
            certificates: self.certificates(),
            workers: self.state.workers(),
        }
    }
}

/// The addresses of `after` that `before` does not have.
fn added<'a>(before: &'a Bound, after: &'a Bound) -> impl Iterator<Item = &'a Listener> {
    let is_new = |one: &&Listener| {
        let before = before.listeners.iter();
        before
            .map(Listener::local)
            .all(|other| other != one.local())
    };
    after.listeners.iter().filter(is_new)
}
