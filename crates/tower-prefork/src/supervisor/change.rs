//! What changes while the program runs: reloads, upgrades, the number of workers.

use std::{process, time::Duration};

use super::{
    end::{End, reopen_logs},
    handover::{self, Predecessor},
    plans::{Outcome, Plan, Reply},
    reload::{Reloaded, replace_all},
    run::SupervisorLoop,
    server::Supervised,
};
use crate::{
    Phase,
    config::{MAX_WORKERS, ResolvedConfig, resolve_all},
    control::ToWorker,
    signals::Request,
    start,
    system::PidFile,
};
use tower_serve::internal::log_writer;

/// What a new supervisor gets, beyond the time that its workers may take, to become ready.
const UPGRADE_GRACE: Duration = Duration::from_secs(10);

impl SupervisorLoop {
    /// Does what a signal asks for.
    pub(super) fn obey(&mut self, request: Request) -> Option<End> {
        match request {
            Request::Reload => self.plan(Plan::Reload, None),
            Request::Upgrade => self.plan(Plan::Upgrade, None),
            Request::ReopenLogs => {
                let fleets = self.servers.iter().map(|server| &*server.fleet);
                reopen_logs(fleets, self.credentials.as_ref());
            }
            Request::More => self.step(1),
            Request::Fewer => self.step(-1),
            Request::Drain => return self.stop_asked(),
            Request::Quit => return Some(End::Quit),
        }
        None
    }

    /// An operator asks for something that takes its time.
    pub(super) fn plan(&mut self, plan: Plan, reply: Option<Reply>) {
        let what = match plan {
            Plan::Reload => "reload",
            Plan::Upgrade => "upgrade",
        };
        if self.drain_at.is_some() {
            tracing::info!("the server stops; the {what} is ignored");
            if let Some(reply) = reply {
                // An operator who has gone needs no answer.
                let _ = reply.send(Err("the server stops; nothing else is planned".into()));
            }
            return;
        }
        if !self.is_ready() {
            tracing::info!("{what} asked for; it begins when the start is complete");
        } else if self.plans.are_running() {
            tracing::info!("{what} asked for; it begins when the change that runs is over");
        }
        self.plans.ask(plan, reply);
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut fleets = self.servers.iter().map(|server| &server.fleet);
        fleets.all(|fleet| fleet.is_established())
    }

    pub(super) fn one_more_ready(&mut self, server: usize, slot: usize) {
        self.servers[server].one_more_ready(slot);
        if self.is_ready() {
            if self.predecessor.is_some() {
                self.announcer.take_over();
            }
            self.announcer.started();
        }
        if self.is_ready()
            && let Some(predecessor) = self.predecessor.take()
        {
            self.take_over(predecessor);
        }
    }

    /// This supervisor serves: what belongs to the whole program is its own from now on.
    fn take_over(&mut self, mut predecessor: Predecessor) {
        let pid_file = self.config.pid_file.as_deref();
        match pid_file.map(PidFile::take_over).transpose() {
            Ok(pid_file) => self.pid_file = pid_file,
            Err(error) => tracing::error!(error, "the pid file is not of this supervisor"),
        }
        if let Some(path) = &self.config.control_socket
            && let Some(socket) = predecessor.control_socket(path)
        {
            self.control_socket = Some(socket);
            if let Err(error) = self.open_console() {
                tracing::error!(error, "the control socket is not of this supervisor");
            }
        }
        predecessor.relieve();
    }

    /// Begins what was asked for, if it can begin now.
    pub(super) fn begin_plan(&mut self) {
        while self.is_ready()
            && self.drain_at.is_none()
            && let Some(plan) = self.plans.next()
        {
            let begun = match plan {
                Plan::Reload => {
                    self.announcer.announce(Phase::Reloading);
                    self.begin_reload()
                }
                Plan::Upgrade => self.begin_upgrade(),
            };
            if let Err(reason) = begun {
                tracing::error!(
                    reason,
                    "{}",
                    match plan {
                        Plan::Reload => "the reload is refused; everything stays as it is",
                        Plan::Upgrade => "the upgrade has failed; this supervisor goes on",
                    }
                );
                self.announcer.announce(Phase::Ready);
                self.plans.answer(&Err(reason));
            }
        }
    }

    /// Reads the configuration again, and has all workers replaced by others that have it. Refused as a
    /// whole, or else taken over as a whole.
    fn begin_reload(&mut self) -> Result<(), String> {
        let servers = self.servers.iter();
        let servers = servers.map(|server| (&*server.fleet.name, &server.sources));
        let (all, program) = resolve_all(servers)?;
        ToWorker::check_starts(&all)?;
        if all.iter().any(ResolvedConfig::is_standalone) {
            return Err("workers is 0, which only a new start can change".into());
        }
        if !program.is_same_start(&self.config) {
            tracing::warn!(
                "pid_file, control_socket, user, group and umask stay as they were: \
                 only a new start or an upgrade changes them"
            );
        }
        let mut next = Vec::new();
        for (server, mut resolved) in self.servers.iter().zip(all) {
            let credentials = self.credentials.as_ref();
            let bound = start::bind(&mut resolved, &server.bound, credentials)?;
            next.push((resolved.config, bound));
        }
        for (server, (config, bound)) in self.servers.iter_mut().zip(next) {
            server.change(config, bound);
        }
        // The workers that follow open theirs.
        log_writer::reopen_all();
        let places = self.servers.iter().flat_map(Supervised::places);
        let reload = replace_all(places.collect());
        self.plans.run(async { Outcome::Reloaded(reload.await) });
        Ok(())
    }

    /// A reload is over.
    fn reloaded(&mut self, Reloaded { replaced, failure }: Reloaded) -> Result<(), String> {
        for index in 0..self.servers.len() {
            let server = &mut self.servers[index];
            if failure.is_some() && replaced == 0 {
                server.undo_change();
                continue;
            }
            server.keep_change();
            let workers = server.fleet.config().workers.count();
            if workers != server.workers() {
                self.scale(index, workers)?;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn begin_upgrade(&mut self) -> Result<(), String> {
        if process::id() == 1 {
            return Err("this is process 1, with whose end the container ends: \
                        start a new container instead"
                .into());
        }
        let servers = self.servers.iter();
        let bound = servers.map(|server| (server.fleet.name.clone(), server.bound.clone()));
        let bound: Vec<_> = bound.collect();
        let successor = handover::start(&self.program, &bound, self.control_socket.as_ref())
            .map_err(|error| format!("cannot start a new supervisor: {error}"))?;
        tracing::info!(
            pid = successor.pid(),
            "upgrading: a new supervisor starts and takes over when it is ready"
        );
        let limits = self
            .servers
            .iter()
            .map(|server| server.fleet.config().start_timeout);
        let limit = limits.max().unwrap_or_default() + UPGRADE_GRACE;
        self.plans
            .run(async move { Outcome::Upgraded(successor.ready(limit).await.map(Box::new)) });
        Ok(())
    }

    /// A plan is over.
    pub(super) fn over(&mut self, outcome: Outcome) -> Option<End> {
        let result = match outcome {
            Outcome::Reloaded(reloaded) => {
                self.announcer.announce(Phase::Ready);
                self.reloaded(reloaded)
            }
            Outcome::Upgraded(Ok(successor)) => {
                self.plans.answer(&Ok(()));
                return Some(End::TakenOver(successor));
            }
            Outcome::Upgraded(Err(reason)) => {
                tracing::error!(reason, "the upgrade has failed; this supervisor goes on");
                Err(reason)
            }
        };
        self.plans.answer(&result);
        None
    }

    /// One worker more or less for each server.
    fn step(&mut self, change: isize) {
        for index in 0..self.servers.len() {
            let workers = self.servers[index].workers().saturating_add_signed(change);
            if let Err(reason) = self.scale(index, workers) {
                tracing::warn!(reason, "the number of workers stays");
            }
        }
    }

    pub(super) fn scale(&mut self, server: usize, workers: usize) -> Result<(), String> {
        let server = &mut self.servers[server];
        if !server.fleet.is_established() {
            return Err("the server has not started yet; try again when it is ready".into());
        }
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(format!(
                "a server has from 1 to {MAX_WORKERS} workers, not {workers}"
            ));
        }
        let before = server.workers();
        server.scale(workers, &mut self.slots, &self.events_sender);
        tracing::info!(server = server.fleet.name, before, workers, "scaled");
        Ok(())
    }
}
