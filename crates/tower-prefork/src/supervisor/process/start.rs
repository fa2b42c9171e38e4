use std::{collections::VecDeque, io, num::NonZeroI32, os::fd::AsFd, sync::Arc};

use rustix::process::Pid;
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Happening;
use crate::{
    config::Config,
    control::{self, ToSupervisor, ToWorker, Vitals},
    error::Reason,
    hooks::{ProcessEvent, ProcessStep},
    listener::{Bound, Listener, Local, passed_bits},
    supervisor::{channel::Channel, fleet::Fleet},
    system::Title,
};

/// One worker process, from its start to its end.
#[derive(Debug)]
pub(in crate::supervisor) struct Process {
    pub(super) fleet: Arc<Fleet>,
    pub(super) slot: usize,
    pub(super) child: Child,
    pub(super) pid: Pid,
    pub(super) channel: Channel<ToSupervisor>,
    /// What it was started with.
    pub(super) config: Arc<Config>,
    /// Where it listens.
    pub(super) locals: Vec<Local>,
    pub(super) started: Instant,
    pub(super) phase: Phase,
    /// When the phase has lasted too long.
    pub(super) deadline: Instant,
    pub(super) ready_since: Option<Instant>,
    /// When it has served for long enough.
    pub(super) expiry: Option<Instant>,
    /// It was said that it is to be replaced.
    pub(super) is_spent: bool,
    /// What has happened and was not told yet.
    pub(super) news: VecDeque<Happening>,
    pub(super) vitals: Vitals,
    pub(super) cut: Option<usize>,
    pub(super) reason: Option<Reason>,
    pub(super) oom_kills_before: u64,
    /// Whether the program will stop, until the worker has been told so.
    pub(super) stopping: Option<watch::Receiver<bool>>,
    /// Whether it is to open the files of its logs again.
    pub(super) reopened: watch::Receiver<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    Draining,
    Aborting,
    Killed,
}

impl Process {
    /// Starts a worker and hands it its listeners.
    pub(in crate::supervisor) fn start(fleet: &Arc<Fleet>, slot: usize) -> io::Result<Self> {
        let current = fleet.current();
        let bound = current.bound.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let (socket, theirs) = control::Socket::pair()?;
        let start = ToWorker::Start {
            server: fleet.name.clone(),
            slot,
            config: (&*current.config).into(),
            passed: passed_bits(&bound.listeners),
        };
        let fds: Vec<_> = bound.listeners.iter().map(AsFd::as_fd).collect();
        // Before the process is there: nothing that happens to it can make this fail.
        socket.send(&start, &fds)?;
        let channel = Channel::new(socket)?;
        let title = Title::worker(&fleet.name, slot);
        let oom_kills_before = fleet.oom_kills.count();
        let child = fleet.program.start_worker(&title, theirs)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let this = Self {
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
            reopened: fleet.reopened(),
        };
        this.tell(ProcessStep::Started);
        Ok(this)
    }

    /// Tells those who want to know of a step.
    pub(super) fn tell(&self, step: ProcessStep<'_>) {
        self.fleet.hooks.tell(ProcessEvent {
            server: &self.fleet.name,
            slot: self.slot,
            pid: self.pid().get(),
            step,
        });
    }

    pub(in crate::supervisor) fn ready_since(&self) -> Option<Instant> {
        self.ready_since
    }

    pub(in crate::supervisor) fn pid(&self) -> NonZeroI32 {
        self.pid.as_raw_nonzero()
    }

    /// Its threads for blocking work.
    pub(in crate::supervisor) fn threads(&self) -> usize {
        self.config.thread_workers
    }

    /// Watches it until something happens to it. After its end there is nothing to watch.
    ///
    /// Nothing is lost when the wait is given up.
    pub(in crate::supervisor) async fn next(&mut self) -> Happening {
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
                Ok(()) = self.reopened.changed() => {
                    // A worker that does not listen looks at its files by itself, if later.
                    let _ = self.channel.send(&ToWorker::ReopenLogs);
                }
                () = stopping(&mut self.stopping) => {
                    self.stopping = None;
                    // A worker that cannot hear it is as good as not ready.
                    let _ = self.channel.send(&ToWorker::NotReady);
                }
            }
        }
    }
}

pub(super) fn locals(bound: &Bound) -> Vec<Local> {
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
