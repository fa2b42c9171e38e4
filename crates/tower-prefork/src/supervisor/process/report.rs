//! What a worker process says of itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{Happening, Process, Spent, start::Phase};
use crate::{
    control::{ToSupervisor, Vitals},
    hooks::ProcessStep,
    operator::{ProcessRole, ProcessState, WorkerStatus},
};

impl Process {
    /// Takes note of a message.
    pub(super) fn receive(&mut self, message: ToSupervisor) {
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
                self.tell(ProcessStep::Ready);
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

    pub(super) fn expired(&mut self) {
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
    pub(in crate::supervisor) fn has_drained(&self) -> bool {
        self.cut.is_some()
    }

    /// What it does, for an operator.
    pub(in crate::supervisor) fn status(&self, role: ProcessRole, restarts: u32) -> WorkerStatus {
        let vitals = &self.vitals;
        WorkerStatus {
            slot: self.slot,
            pid: Some(self.pid().get()),
            role,
            state: match self.phase {
                Phase::Starting => ProcessState::Starting,
                Phase::Ready => ProcessState::Ready,
                Phase::Draining => ProcessState::Draining,
                Phase::Aborting | Phase::Killed => ProcessState::Killed,
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
}
