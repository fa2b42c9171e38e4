//! How a worker process is shut down, and how it ends.

use std::{io, time::Duration};

use rustix::process::Signal;
use tokio::time::Instant;

use super::{
    EndedProcess, Process,
    worker_process::{ProcessPhase, addresses},
};
use crate::{
    control::{ToSupervisor, ToWorker},
    error::Reason,
    hooks::ProcessStep,
    supervisor::{exit_cause::describe_exit, slot::ShutdownMode},
};

/// The time between SIGABRT, which may leave a core dump of a stuck worker, and SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(2);

/// The time after the deadline of a drain at which a worker is killed.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

impl Process {
    /// Makes it close this number of connections with their next response.
    pub(in crate::supervisor) fn shed(&self, connections: usize) {
        tracing::debug!(
            server = self.server.name,
            slot = self.slot,
            pid = self.pid(),
            connections,
            "closing connections, because siblings are idle"
        );
        // A worker that reads no messages serves no requests, either.
        let _ = self.channel.send(&ToWorker::Shed { connections });
    }

    /// Another worker serves in its place: makes it leave new connections to others and finish its requests.
    pub(in crate::supervisor) fn retire(&mut self) {
        self.retire_until(self.server.deadline());
    }

    fn retire_until(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let retire = ToWorker::Retire {
            milliseconds: milliseconds(left),
            idle_milliseconds: milliseconds(self.server.retired_idle()),
            queues: self.queues(),
        };
        self.drain(&retire, deadline);
    }

    /// A bit for each of its listeners whose queue no other worker serves: those that the current configuration does not
    /// have.
    fn queues(&self) -> u64 {
        let bound = self.server.setup().bound.upgrade();
        let Some(current) = bound.map(|bound| addresses(&bound)) else {
            // Another supervisor serves all of them.
            return 0;
        };
        let gone = self.addresses.iter().map(|one| !current.contains(one));
        let bits = gone
            .enumerate()
            .map(|(index, gone)| u64::from(gone) << index);
        bits.fold(0, |bits, bit| bits | bit)
    }

    pub(in crate::supervisor) fn shut_down(&mut self, mode: ShutdownMode) {
        match mode {
            ShutdownMode::None => {}
            ShutdownMode::Retire(_) if self.phase == ProcessPhase::Starting => self.kill(),
            ShutdownMode::Retire(deadline) => self.retire_until(deadline),
            ShutdownMode::Drain(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let milliseconds = milliseconds(left);
                self.drain(&ToWorker::Drain { milliseconds }, deadline);
            }
            ShutdownMode::Now => self.kill(),
        }
    }

    fn drain(&mut self, message: &ToWorker, deadline: Instant) {
        // A worker that misses the message is killed after the deadline.
        let _ = self.channel.send(message);
        if matches!(self.phase, ProcessPhase::Starting | ProcessPhase::Ready) {
            self.phase = ProcessPhase::Draining;
            self.deadline = deadline + DRAIN_GRACE;
            self.expiry = None;
            self.report(ProcessStep::Draining);
        }
    }

    /// The deadline of the phase is reached.
    pub(super) fn deadline_reached(&mut self) {
        // Messages that have arrived in time count: after the supervisor was stopped, it may see the timer before them.
        while let Some(message) = self.channel.try_recv() {
            self.receive(message);
        }
        if Instant::now() < self.deadline {
            return;
        }
        match self.phase {
            ProcessPhase::Starting => {
                let limit = self.config.start_timeout.as_secs_f64();
                self.reason = Some(format!("not ready within {limit} seconds").into());
                self.kill();
            }
            ProcessPhase::Ready => {
                let limit = self.config.heartbeat_timeout.as_secs_f64();
                let reason = format!("its event loop was stuck for {limit} seconds");
                tracing::error!(
                    server = self.server.name,
                    slot = self.slot,
                    pid = self.pid(),
                    "worker is killed: {reason}"
                );
                self.reason = Some(reason.into());
                self.phase = ProcessPhase::Aborting;
                self.deadline = Instant::now() + ABORT_GRACE;
                self.signal(Signal::ABORT);
            }
            ProcessPhase::Draining | ProcessPhase::Aborting => self.kill(),
            ProcessPhase::Killed => {}
        }
    }

    pub(in crate::supervisor) fn kill(&mut self) {
        self.phase = ProcessPhase::Killed;
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // Until the process is reaped, no other process can have its id.
        if self.child.id().is_some() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    pub(super) fn ended(&mut self, status: io::Result<std::process::ExitStatus>) -> EndedProcess {
        // Its last messages, which may arrive together with its end.
        while let Some(message) = self.channel.try_recv() {
            match message {
                ToSupervisor::Failed { reason } => self.reason = Some(reason),
                ToSupervisor::Cut { requests } => self.cut = Some(requests),
                ToSupervisor::Heartbeat(stats) => self.stats = stats,
                ToSupervisor::Ready | ToSupervisor::Recycle(_) => {}
            }
        }
        let clean = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        let status = match status {
            Ok(status) => describe_exit(status, || {
                let oom_kills = &self.server.oom_kills;
                self.phase != ProcessPhase::Killed
                    && oom_kills.explain_one_after(self.oom_kills_before)
            }),
            Err(error) => format!("cannot determine how it ended: {error}"),
        };
        let (cause, details) = match self.reason.take() {
            Some(Reason { line, details }) => (format!("{line} ({status})"), details),
            None => (status, String::new()),
        };
        self.report(ProcessStep::Ended { cause: &cause });
        EndedProcess {
            pid: Some(self.pid()),
            cause,
            details,
            ready_for: self.ready_since.map(|since| since.elapsed()),
            cut: self
                .cut
                .unwrap_or(if clean { 0 } else { self.stats.in_flight }),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
