use std::{collections::VecDeque, io, num::NonZeroI32, os::fd::AsFd, sync::Arc, time::Duration};

use rustix::process::{Pid, Signal};
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{cause, channel::Channel, fleet::Fleet, slot::Stop};
use crate::{
    config::Config,
    control::{self, ToSupervisor, ToWorker, Vitals},
    error::Reason,
    listener::{Bound, Listener, Local},
    operator::{Role, State, WorkerStatus},
    system::Title,
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
    channel: Channel<ToSupervisor>,
    /// What it was started with.
    config: Arc<Config>,
    /// Where it listens.
    locals: Vec<Local>,
    started: Instant,
    phase: Phase,
    /// When the phase has lasted too long.
    deadline: Instant,
    ready_since: Option<Instant>,
    /// When it has served for long enough.
    expiry: Option<Instant>,
    /// It was said that it is to be replaced.
    is_spent: bool,
    /// What has happened and was not told yet.
    news: VecDeque<Happening>,
    vitals: Vitals,
    cut: Option<usize>,
    reason: Option<Reason>,
    oom_kills_before: u64,
    /// Whether the program will stop, until the worker has been told so.
    stopping: Option<watch::Receiver<bool>>,
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
    /// It is alive, and has said what it does.
    Beat,
    /// It is to be replaced.
    Spent(Spent),
    Ended(Ended),
}

/// Why a worker is to be replaced.
#[derive(Debug)]
pub(super) struct Spent {
    pub(super) reason: String,
    /// A thread of it is stuck, and so may soon be all of them.
    pub(super) stuck: bool,
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
        let current = fleet.current();
        let bound = current.bound.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let (socket, theirs) = control::Socket::pair()?;
        let start = ToWorker::Start {
            server: fleet.name.clone(),
            slot,
            config: Box::new((*current.config).clone()),
        };
        let fds: Vec<_> = bound.listeners.iter().map(AsFd::as_fd).collect();
        // Before the process is there: nothing that happens to it can make this fail.
        socket.send(&start, &fds)?;
        let channel = Channel::new(socket)?;
        let title = Title::worker(&fleet.name, slot);
        let oom_kills_before = fleet.oom_kills.count();
        let child = fleet.program.start_worker(&title, theirs)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self {
            fleet: fleet.clone(),
            slot,
            child,
            pid: pid.ok_or_else(|| io::Error::other("the process has no id"))?,
            channel,
            locals: locals(&bound),
            started: Instant::now(),
            phase: Phase::Starting,
            deadline: Instant::now() + current.config.start_timeout,
            config: current.config,
            ready_since: None,
            expiry: None,
            is_spent: false,
            news: VecDeque::new(),
            vitals: Vitals::default(),
            cut: None,
            reason: None,
            oom_kills_before,
            stopping: Some(fleet.stopping()),
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
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            let expiry = self.expiry.unwrap_or(self.deadline);
            tokio::select! {
                biased;
                message = self.channel.recv() => self.receive(message),
                status = self.child.wait() => return Happening::Ended(self.ended(status)),
                () = sleep_until(self.deadline), if self.phase != Phase::Killed => self.overdue(),
                () = sleep_until(expiry), if self.expiry.is_some() => self.expired(),
                () = stopping(&mut self.stopping) => {
                    self.stopping = None;
                    // A worker that cannot hear it is as good as not ready.
                    let _ = self.channel.send(&ToWorker::NotReady);
                }
            }
        }
    }

    /// Takes note of a message.
    fn receive(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready if self.phase == Phase::Starting => {
                let now = Instant::now();
                self.phase = Phase::Ready;
                self.ready_since = Some(now);
                self.deadline = now + self.config.heartbeat_timeout;
                let lifetime = self.config.max_lifetime;
                // Up to a tenth less, so that workers that started together do not end together.
                let lifetime = lifetime.map(|time| time.mul_f64(1.0 - 0.1 * fastrand::f64()));
                self.expiry = lifetime.map(|time| now + time);
                self.news.push_back(Happening::Ready);
            }
            ToSupervisor::Ready => {}
            ToSupervisor::Failed { reason } => self.reason = Some(reason),
            ToSupervisor::Heartbeat(vitals) => self.beat(vitals),
            ToSupervisor::Spent { reason, stuck } => self.spend(Spent { reason, stuck }),
            ToSupervisor::Cut { requests } => self.cut = Some(requests),
        }
    }

    fn beat(&mut self, vitals: Vitals) {
        tracing::trace!(
            server = self.fleet.name,
            slot = self.slot,
            ?vitals,
            "heartbeat"
        );
        self.vitals = vitals;
        if self.phase == Phase::Ready {
            self.deadline = Instant::now() + self.config.heartbeat_timeout;
        }
        self.news.push_back(Happening::Beat);
        let rss = self.vitals.rss;
        if let Some(max_rss) = self.config.max_rss
            && rss > max_rss
        {
            let reason = format!("max_rss: {rss} bytes of its memory are resident");
            self.spend(Spent {
                reason,
                stuck: false,
            });
        }
    }

    /// It is to be replaced, if that was not said before.
    fn spend(&mut self, spent: Spent) {
        if self.phase == Phase::Ready && (!self.is_spent || spent.stuck) {
            self.is_spent = true;
            self.news.push_back(Happening::Spent(spent));
        }
    }

    fn expired(&mut self) {
        self.expiry = None;
        let served = self
            .ready_since
            .map_or(0, |since| since.elapsed().as_secs());
        let reason = format!("max_lifetime: it has served for {served} seconds");
        self.spend(Spent {
            reason,
            stuck: false,
        });
    }

    /// Whether nothing is left of it but work that no client waits for.
    pub(super) fn has_drained(&self) -> bool {
        self.cut.is_some()
    }

    /// Its threads for blocking work.
    pub(super) fn threads(&self) -> usize {
        self.config.thread_workers
    }

    /// Asks it to have so many connections end with their next response.
    pub(super) fn shed(&self, connections: usize) {
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

    /// What it does, for an operator.
    pub(super) fn status(&self, role: Role, restarts: u32) -> WorkerStatus {
        let vitals = &self.vitals;
        WorkerStatus {
            slot: self.slot,
            pid: Some(self.pid().get()),
            role,
            state: match self.phase {
                Phase::Starting => State::Starting,
                Phase::Ready => State::Ready,
                Phase::Draining => State::Draining,
                Phase::Aborting | Phase::Killed => State::Killed,
            },
            age_s: self.started.elapsed().as_secs(),
            memory_bytes: vitals.rss,
            connections: vitals.connections,
            in_flight: vitals.in_flight,
            queued: vitals.queued,
            requests: vitals.requests,
            refused: vitals.refused,
            oldest_job_s: vitals
                .oldest_job_ms
                .map(|time| Duration::from_millis(time).as_secs_f64()),
            restarts,
        }
    }

    /// Another worker serves in its place: makes it leave new connections to others and finish
    /// what it has.
    pub(super) fn retire(&mut self) {
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

    pub(super) fn stop(&mut self, stop: Stop) {
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
        }
    }

    /// The phase's deadline is over.
    fn overdue(&mut self) {
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

fn locals(bound: &Bound) -> Vec<Local> {
    let listeners = bound.listeners.iter();
    listeners.map(Listener::local).cloned().collect()
}

/// Waits until the worker is to be told that the program will stop.
async fn stopping(stopping: &mut Option<watch::Receiver<bool>>) {
    match stopping {
        // An error would mean that there is no fleet any more, of which the process has a part.
        Some(stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
        None => std::future::pending().await,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
