use std::{io, num::NonZeroI32, os::fd::AsFd, sync::Arc, time::Duration};

use rustix::process::{Pid, Signal};
use tokio::{
    process::Child,
    time::{Instant, sleep_until},
};

use super::{cause, channel::Channel, fleet::Fleet, slot::Stop};
use crate::{
    control::{self, ToSupervisor, ToWorker, Vitals},
    error::Reason,
};

/// A stuck worker gets SIGABRT, which may leave a core to look at, and so long afterwards SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(2);

/// A worker that has not ended so long after its drain's deadline is killed.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// One worker process, from its start to its end.
#[derive(Debug)]
pub(super) struct Process {
    fleet: Arc<Fleet>,
    slot: usize,
    child: Child,
    pid: Pid,
    channel: Channel,
    phase: Phase,
    /// When the phase has lasted too long.
    deadline: Instant,
    ready_since: Option<Instant>,
    vitals: Vitals,
    cut: Option<usize>,
    reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Draining,
    Aborting,
    Killed,
}

/// What a worker process has done.
#[derive(Debug)]
pub(super) enum Happening {
    /// It serves now.
    Ready,
    Ended(Ended),
}

/// How a worker process ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) pid: Option<NonZeroI32>,
    pub(super) cause: String,
    /// More lines of the cause, to be shown as they are.
    pub(super) details: String,
    /// `None` when it never was ready.
    pub(super) ready_for: Option<Duration>,
    /// Requests that did not finish.
    pub(super) cut: usize,
}

impl Ended {
    pub(super) fn not_started(error: &io::Error) -> Self {
        Self {
            pid: None,
            cause: format!("cannot start the process: {error}"),
            details: String::new(),
            ready_for: None,
            cut: 0,
        }
    }
}

impl Process {
    /// Starts a worker and hands it its listeners.
    pub(super) fn start(fleet: &Arc<Fleet>, slot: usize) -> io::Result<Self> {
        let bound = fleet.bound.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let (socket, theirs) = control::Socket::pair()?;
        let server = fleet.name.clone();
        let fds: Vec<_> = bound.listeners.iter().map(AsFd::as_fd).collect();
        // Before the process is there: nothing that happens to it can make this fail.
        socket.send(&ToWorker::Start { server, slot }, &fds)?;
        let channel = Channel::new(socket)?;
        let child = fleet.program.spawn(theirs)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self {
            fleet: fleet.clone(),
            slot,
            child,
            pid: pid.ok_or_else(|| io::Error::other("the process has no id"))?,
            channel,
            phase: Phase::Starting,
            deadline: Instant::now() + fleet.start_timeout,
            ready_since: None,
            vitals: Vitals::default(),
            cut: None,
            reason: None,
        })
    }

    pub(super) fn pid(&self) -> NonZeroI32 {
        self.pid.as_raw_nonzero()
    }

    /// Watches it until something happens to it. After its end there is nothing to watch.
    ///
    /// Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Happening {
        loop {
            let ready = tokio::select! {
                biased;
                message = self.channel.recv() => self.receive(message),
                status = self.child.wait() => return Happening::Ended(self.ended(status)),
                () = sleep_until(self.deadline), if self.phase != Phase::Killed => self.overdue(),
            };
            if ready {
                return Happening::Ready;
            }
        }
    }

    /// Takes note of a message. Whether it has become ready.
    fn receive(&mut self, message: ToSupervisor) -> bool {
        match message {
            ToSupervisor::Ready if self.phase == Phase::Starting => {
                self.phase = Phase::Ready;
                self.ready_since = Some(Instant::now());
                self.deadline = Instant::now() + self.fleet.heartbeat_timeout;
                return true;
            }
            ToSupervisor::Ready => {}
            ToSupervisor::Failed { reason } => self.reason = Some(reason),
            ToSupervisor::Heartbeat(vitals) => {
                tracing::trace!(
                    server = self.fleet.name,
                    slot = self.slot,
                    ?vitals,
                    "heartbeat"
                );
                self.vitals = vitals;
                if self.phase == Phase::Ready {
                    self.deadline = Instant::now() + self.fleet.heartbeat_timeout;
                }
            }
            ToSupervisor::Cut { requests } => self.cut = Some(requests),
            ToSupervisor::Spent { .. } => {}
        }
        false
    }

    /// Another worker serves in its place: makes it leave new connections to others and finish
    /// what it has.
    pub(super) fn retire(&mut self) {
        let left = self.fleet.graceful_timeout;
        self.drain(
            &ToWorker::Retire {
                milliseconds: milliseconds(left),
                idle_milliseconds: milliseconds(self.fleet.retired_idle()),
            },
            Instant::now() + left,
        );
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        match stop {
            Stop::No => {}
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
        }
    }

    /// The phase's deadline is over. Whether it has become ready just in time.
    fn overdue(&mut self) -> bool {
        // What has arrived in time counts: after a halt of the supervisor the clock may be seen
        // before the messages.
        let mut ready = false;
        while let Some(message) = self.channel.try_recv() {
            ready |= self.receive(message);
        }
        if ready || Instant::now() < self.deadline {
            return ready;
        }
        match self.phase {
            Phase::Starting => {
                let limit = self.fleet.start_timeout.as_secs_f64();
                self.reason = Some(format!("not ready within {limit} seconds").into());
                self.kill();
            }
            Phase::Ready => {
                let limit = self.fleet.heartbeat_timeout.as_secs_f64();
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
        false
    }

    pub(super) fn kill(&mut self) {
        self.phase = Phase::Killed;
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // Until `wait` has reaped the process, the id is surely its own.
        if self.child.id().is_some() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    fn ended(&mut self, status: io::Result<std::process::ExitStatus>) -> Ended {
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
            Ok(status) => cause::describe(status),
            Err(error) => format!("cannot learn how it ended: {error}"),
        };
        let (cause, details) = match self.reason.take() {
            Some(Reason { line, details }) => (format!("{line} ({status})"), details),
            None => (status, String::new()),
        };
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
