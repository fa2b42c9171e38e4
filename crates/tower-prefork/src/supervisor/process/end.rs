//! How a worker process ends.

use std::{io, time::Duration};

use rustix::process::Signal;
use tokio::time::Instant;

use super::{
    Ended, Process,
    start::{Phase, locals},
};
use crate::{
    control::{ToSupervisor, ToWorker},
    error::Reason,
    hooks::ProcessStep,
    supervisor::{cause, slot::Stop},
};

/// A stuck worker gets SIGABRT, which may leave a core to look at, and so long afterwards SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(2);

/// A worker that has not ended so long after its drain's deadline is killed.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

impl Process {
    /// Asks it to have so many connections end with their next response.
    pub(in crate::supervisor) fn shed(&self, connections: usize) {
        tracing::debug!(
            server = self.fleet.name,
            slot = self.slot,
            pid = self.pid(),
            connections,
            "siblings are idle; connections are to go there"
        );
        // A worker that reads no messages answers nobody, either.
        let _ = self.channel.send(&ToWorker::Shed { connections });
    }

    /// Another worker serves in its place: makes it leave new connections to others and finish
    /// what it has.
    pub(in crate::supervisor) fn retire(&mut self) {
        self.retire_until(self.fleet.deadline());
    }

    fn retire_until(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let retire = ToWorker::Retire {
            milliseconds: milliseconds(left),
            idle_milliseconds: milliseconds(self.fleet.retired_idle()),
            queues: self.queues(),
        };
        self.drain(&retire, deadline);
    }

    /// A bit for each of its listeners whose queue nobody else will serve: those that a later
    /// configuration does not have.
    fn queues(&self) -> u64 {
        let bound = self.fleet.current().bound.upgrade();
        let Some(current) = bound.map(|bound| locals(&bound)) else {
            // Another supervisor serves them all.
            return 0;
        };
        let gone = self.locals.iter().map(|local| !current.contains(local));
        let bits = gone
            .enumerate()
            .map(|(index, gone)| u64::from(gone) << index);
        bits.fold(0, |bits, bit| bits | bit)
    }

    pub(in crate::supervisor) fn stop(&mut self, stop: Stop) {
        match stop {
            Stop::No => {}
            Stop::Retire(_) if self.phase == Phase::Starting => self.kill(),
            Stop::Retire(deadline) => self.retire_until(deadline),
            Stop::Drain(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let milliseconds = milliseconds(left);
                self.drain(&ToWorker::Drain { milliseconds }, deadline);
            }
            Stop::Now => self.kill(),
        }
    }

    fn drain(&mut self, message: &ToWorker, deadline: Instant) {
        // A worker that cannot hear it is killed after the deadline.
        let _ = self.channel.send(message);
        if matches!(self.phase, Phase::Starting | Phase::Ready) {
            self.phase = Phase::Draining;
            self.deadline = deadline + DRAIN_GRACE;
            self.expiry = None;
            self.tell(ProcessStep::Draining);
        }
    }

    /// The phase's deadline is over.
    pub(super) fn overdue(&mut self) {
        // What has arrived in time counts: after a halt of the supervisor the clock may be seen
        // before the messages.
        while let Some(message) = self.channel.try_recv() {
            self.receive(message);
        }
        if Instant::now() < self.deadline {
            return;
        }
        match self.phase {
            Phase::Starting => {
                let limit = self.config.start_timeout.as_secs_f64();
                self.reason = Some(format!("not ready within {limit} seconds").into());
                self.kill();
            }
            Phase::Ready => {
                let limit = self.config.heartbeat_timeout.as_secs_f64();
                let reason = format!("its event loop was stuck for {limit} seconds");
                tracing::error!(
                    server = self.fleet.name,
                    slot = self.slot,
                    pid = self.pid(),
                    "worker is killed: {reason}"
                );
                self.reason = Some(reason.into());
                self.phase = Phase::Aborting;
                self.deadline = Instant::now() + ABORT_GRACE;
                self.signal(Signal::ABORT);
            }
            Phase::Draining | Phase::Aborting => self.kill(),
            Phase::Killed => {}
        }
    }

    pub(in crate::supervisor) fn kill(&mut self) {
        self.phase = Phase::Killed;
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // Until `wait` has reaped the process, the id is surely its own.
        if self.child.id().is_some() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    pub(super) fn ended(&mut self, status: io::Result<std::process::ExitStatus>) -> Ended {
        // Its last words, which may have come together with its end.
        while let Some(message) = self.channel.try_recv() {
            match message {
                ToSupervisor::Failed { reason } => self.reason = Some(reason),
                ToSupervisor::Cut { requests } => self.cut = Some(requests),
                ToSupervisor::Heartbeat(vitals) => self.vitals = vitals,
                ToSupervisor::Ready | ToSupervisor::Spent { .. } => {}
            }
        }
        let clean = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        let status = match status {
            Ok(status) => cause::describe(status, || {
                let oom_kills = &self.fleet.oom_kills;
                self.phase != Phase::Killed && oom_kills.explain_one_after(self.oom_kills_before)
            }),
            Err(error) => format!("cannot learn how it ended: {error}"),
        };
        let (cause, details) = match self.reason.take() {
            Some(Reason { line, details }) => (format!("{line} ({status})"), details),
            None => (status, String::new()),
        };
        self.tell(ProcessStep::Ended { cause: &cause });
        Ended {
            pid: Some(self.pid()),
            cause,
            details,
            ready_for: self.ready_since.map(|since| since.elapsed()),
            cut: self
                .cut
                .unwrap_or(if clean { 0 } else { self.vitals.in_flight }),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
