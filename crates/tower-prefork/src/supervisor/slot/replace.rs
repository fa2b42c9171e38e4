//! How the worker of a slot is replaced.

use std::time::Duration;

use tokio::time::Instant;

use super::{Slot, death::show};
use crate::supervisor::{
    process::{Ended, Process, Spent},
    run::Event,
};

/// A worker that could not be replaced for being spent is tried again after so long at the earliest.
const AGAIN: Duration = Duration::from_secs(1);

impl Slot {
    /// Starts a worker where there is none.
    pub(super) async fn start(&mut self) {
        self.restart = None;
        match Process::start(&self.fleet, self.index) {
            Ok(process) => self.serving = Some(process),
            Err(error) => self.died(Ended::not_started(&error)).await,
        }
    }

    /// The worker is to be replaced, for a reason of its own.
    pub(super) fn wears_out(&mut self, spent: Spent) {
        if let Some(retired) = &mut self.retired
            && spent.stuck
            && retired.has_drained()
        {
            // It is stuck as well, nobody waits for it, and there would be no room for another.
            retired.kill();
        }
        if spent.stuck
            && let Some(since) = self.serving.as_ref().and_then(Process::ready_since)
        {
            // The next one may fare no better.
            self.again = self.again.max(since + AGAIN);
        }
        self.spent = Some(spent);
    }

    /// Starts the worker that is to replace the spent one.
    pub(super) fn replace_spent(&mut self) {
        let reason = self.spent.as_ref().map(|spent| &*spent.reason);
        tracing::info!(
            server = self.fleet.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            reason,
            "replacing a worker"
        );
        match Process::start(&self.fleet, self.index) {
            Ok(process) => self.replacement = Some(process),
            Err(error) => self.failed(Ended::not_started(&error)),
        }
    }

    /// Starts to carry out an order, as soon as there is room for another process.
    pub(super) fn replace(&mut self) {
        if let Some(retired) = &mut self.retired {
            if self.waiting.is_none() {
                return;
            }
            if self.fleet.is_in_development() {
                retired.kill();
            } else {
                tracing::info!(
                    server = self.fleet.name,
                    slot = self.index,
                    "the worker before this one still has requests; replacing it when they are done"
                );
            }
            return;
        }
        let Some(order) = self.waiting.take() else {
            return;
        };
        match Process::start(&self.fleet, self.index) {
            Ok(process) => {
                self.order = Some(order);
                self.restart = None;
                let place = match self.serving {
                    None => &mut self.serving,
                    Some(_) => &mut self.replacement,
                };
                *place = Some(process);
            }
            Err(error) => drop(order.send(Err(Ended::not_started(&error).cause))),
        }
    }

    /// The worker has become ready.
    pub(super) async fn serves(&mut self) {
        if self.deaths > 0 {
            self.log_replaced(None);
        } else if self.fleet.is_established() {
            tracing::info!(
                server = self.fleet.name,
                slot = self.index,
                pid = self.serving.as_ref().map(Process::pid),
                "worker added"
            );
        }
        if self.replacement.is_none() {
            self.answer(Ok(()));
        }
        let ready = Event::Ready {
            server: self.fleet.index,
            slot: self.index,
        };
        // Nobody listens any more when the whole program stops.
        let _ = self.events.send(ready).await;
    }

    /// The replacement has become ready.
    pub(super) fn took_over(&mut self) {
        self.retired = std::mem::replace(&mut self.serving, self.replacement.take());
        self.spent = None;
        self.turn = None;
        if let Some(process) = &mut self.retired {
            process.retire();
        }
        self.log_replaced(self.retired.as_ref());
        self.answer(Ok(()));
    }

    /// The replacement has ended before it was ready.
    pub(super) fn failed(&mut self, ended: Ended) {
        self.replacement = None;
        self.cut(&ended);
        show(&ended.details);
        if self.turn.take().is_some() {
            let delay = self.backoff.after(ended.ready_for).max(AGAIN);
            self.again = Instant::now() + delay;
            tracing::error!(
                server = self.fleet.name,
                slot = self.index,
                cause = ended.cause,
                delay_ms = delay.as_millis(),
                "the worker could not be replaced and goes on; the next try comes after the delay"
            );
        }
        self.answer(Err(ended.cause));
    }

    pub(super) fn answer(&mut self, answer: Result<(), String>) {
        if let Some(order) = self.order.take() {
            // Nobody waits for it when the whole program stops.
            let _ = order.send(answer);
        }
    }

    pub(super) fn log_replaced(&self, retired: Option<&Process>) {
        tracing::info!(
            server = self.fleet.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            retired = retired.map(Process::pid),
            "worker replaced"
        );
    }
}
