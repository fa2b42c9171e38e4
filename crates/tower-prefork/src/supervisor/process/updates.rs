//! What a worker process reports, and what its slot learns of it.

use std::{io, num::NonZeroI32, time::Duration};

use tokio::time::Instant;
use tower_serve::internal::threads;

use super::{Process, worker_process::ProcessPhase};
use crate::{
    control::{RecycleReason, ToSupervisor, WorkerStats},
    hooks::ProcessStep,
    operator::{ProcessRole, ProcessState, WorkerStatus},
};

/// What a slot learns of its process.
#[derive(Debug)]
pub(in crate::supervisor) enum ProcessUpdate {
    /// It serves.
    Ready,
    /// It is alive, and its stats are new.
    Heartbeat,
    /// It is to be recycled.
    Recycle(RecycleReason),
    Ended(EndedProcess),
}

/// How a worker process ended.
#[derive(Debug)]
pub(in crate::supervisor) struct EndedProcess {
    pub(in crate::supervisor) pid: Option<NonZeroI32>,
    pub(in crate::supervisor) cause: String,
    /// Further lines of the cause, to be shown unchanged.
    pub(in crate::supervisor) details: String,
    /// `None` if it was never ready.
    pub(in crate::supervisor) ready_for: Option<Duration>,
    /// The number of requests that did not finish.
    pub(in crate::supervisor) cut: usize,
}

impl EndedProcess {
    pub(in crate::supervisor) fn not_started(error: &io::Error) -> Self {
        Self {
            pid: None,
            cause: threads::refused("cannot start the process", error),
            details: String::new(),
            ready_for: None,
            cut: 0,
        }
    }
}

impl Process {
    /// Handles a message of the worker.
    pub(super) fn receive(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready if self.phase == ProcessPhase::Starting => {
                let now = Instant::now();
                self.phase = ProcessPhase::Ready;
                self.ready_since = Some(now);
                self.deadline = now + self.config.heartbeat_timeout;
                let lifetime = self.config.max_lifetime;
                // Less up to a tenth by chance, so that workers that started together are not replaced together.
                let lifetime = lifetime.map(|time| time.mul_f64(1.0 - 0.1 * fastrand::f64()));
                self.expiry = lifetime.map(|time| now + time);
                self.report(ProcessStep::Ready);
                self.updates.push_back(ProcessUpdate::Ready);
            }
            ToSupervisor::Ready => {}
            ToSupervisor::Failed { reason } => self.reason = Some(reason),
            ToSupervisor::Heartbeat(stats) => self.heartbeat(stats),
            ToSupervisor::Recycle(reason) => self.recycle(reason),
            ToSupervisor::Cut { requests } => self.cut = Some(requests),
        }
    }

    fn heartbeat(&mut self, stats: WorkerStats) {
        tracing::trace!(
            server = self.server.name,
            slot = self.slot,
            ?stats,
            "heartbeat"
        );
        self.stats = stats;
        if self.phase == ProcessPhase::Ready {
            self.deadline = Instant::now() + self.config.heartbeat_timeout;
        }
        self.updates.push_back(ProcessUpdate::Heartbeat);
        let rss = self.stats.memory_bytes;
        if let Some(max_rss) = self.config.max_rss
            && rss > max_rss
        {
            let text = format!("max_rss: its resident memory is {rss} bytes");
            self.recycle(RecycleReason { text, stuck: false });
        }
    }

    /// It is to be recycled. Only a stuck worker may say so again.
    fn recycle(&mut self, reason: RecycleReason) {
        if self.phase == ProcessPhase::Ready && (!self.is_recycled || reason.stuck) {
            self.is_recycled = true;
            self.updates.push_back(ProcessUpdate::Recycle(reason));
        }
    }

    /// Its lifetime is over.
    pub(super) fn expired(&mut self) {
        self.expiry = None;
        let served = self
            .ready_since
            .map_or(0, |since| since.elapsed().as_secs());
        let text = format!("max_lifetime: it has served for {served} seconds");
        self.recycle(RecycleReason { text, stuck: false });
    }

    /// Whether it has drained, except for jobs that no client waits for.
    pub(in crate::supervisor) fn has_drained(&self) -> bool {
        self.cut.is_some()
    }

    /// Its status, for an operator.
    pub(in crate::supervisor) fn status(&self, role: ProcessRole, restarts: u32) -> WorkerStatus {
        WorkerStatus {
            slot: self.slot,
            pid: Some(self.pid().get()),
            role,
            state: match self.phase {
                ProcessPhase::Starting => ProcessState::Starting,
                ProcessPhase::Ready => ProcessState::Ready,
                ProcessPhase::Draining => ProcessState::Draining,
                ProcessPhase::Aborting | ProcessPhase::Killed => ProcessState::Killed,
            },
            age_s: self.started.elapsed().as_secs(),
            stats: self.stats.clone(),
            restarts,
        }
    }
}
