//! What a slot does when a process of it starts, serves, fails or ends.

use std::time::Duration;

use tokio::time::Instant;

use super::Slot;
use crate::{
    control::RecycleReason,
    error::Reason,
    server_log,
    supervisor::{
        event_loop::SlotEvent,
        process::{EndedProcess, Process},
    },
};

/// The least time between two attempts to recycle a worker.
const RECYCLE_AGAIN: Duration = Duration::from_secs(1);

impl Slot {
    /// Starts a worker in an empty slot.
    pub(super) async fn start(&mut self) {
        self.restart = None;
        match Process::start(&self.server, self.index) {
            Ok(process) => self.serving = Some(process),
            Err(error) => self.serving_ended(EndedProcess::not_started(&error)).await,
        }
    }

    /// The worker is to be recycled.
    pub(super) fn recycle_requested(&mut self, reason: RecycleReason) {
        if let Some(retired) = &mut self.retired
            && reason.stuck
            && retired.has_drained()
        {
            // It is stuck as well, no client waits for it, and it prevents another replacement.
            retired.kill();
        }
        if reason.stuck
            && let Some(since) = self.serving.as_ref().and_then(Process::ready_since)
        {
            // The next worker may get stuck as quickly.
            self.recycle_after = self.recycle_after.max(since + RECYCLE_AGAIN);
        }
        self.recycle = Some(reason);
    }

    /// Starts the replacement of the worker that is to be recycled.
    pub(super) fn recycle(&mut self) {
        let reason = self.recycle.as_ref().map(|reason| &*reason.text);
        tracing::info!(
            server = self.server.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            reason,
            "replacing a worker"
        );
        match Process::start(&self.server, self.index) {
            Ok(process) => self.replacement = Some(process),
            Err(error) => self.replacement_failed(EndedProcess::not_started(&error)),
        }
    }

    /// Starts the requested replacement, unless a retired process must end first.
    pub(super) fn replace(&mut self) {
        if let Some(retired) = &mut self.retired {
            if self.waiting.is_none() {
                return;
            }
            if self.server.is_in_development() {
                retired.kill();
            } else {
                tracing::info!(
                    server = self.server.name,
                    slot = self.index,
                    "the previous worker still has requests; this one is replaced when they are complete"
                );
            }
            return;
        }
        let Some(request) = self.waiting.take() else {
            return;
        };
        match Process::start(&self.server, self.index) {
            Ok(process) => {
                self.request = Some(request);
                self.restart = None;
                let role = match self.serving {
                    None => &mut self.serving,
                    Some(_) => &mut self.replacement,
                };
                *role = Some(process);
            }
            Err(error) => drop(request.send(Err(EndedProcess::not_started(&error).cause))),
        }
    }

    /// The worker has become ready.
    pub(super) async fn serving_ready(&mut self) {
        if self.deaths > 0 {
            self.log_replaced(None);
        } else if self.server.is_established() {
            tracing::info!(
                server = self.server.name,
                slot = self.index,
                pid = self.serving.as_ref().map(Process::pid),
                "worker added"
            );
        }
        if self.replacement.is_none() {
            self.respond(Ok(()));
        }
        let ready = SlotEvent::Ready {
            server: self.server.index,
            slot: self.index,
        };
        // The event loop receives no events while the program stops.
        let _ = self.events.send(ready).await;
    }

    /// The replacement has become ready.
    pub(super) fn replacement_ready(&mut self) {
        self.retired = std::mem::replace(&mut self.serving, self.replacement.take());
        self.recycle = None;
        self.permit = None;
        if let Some(process) = &mut self.retired {
            process.retire();
        }
        self.log_replaced(self.retired.as_ref());
        self.respond(Ok(()));
    }

    /// The replacement has ended before it was ready.
    pub(super) fn replacement_failed(&mut self, ended: EndedProcess) {
        self.replacement = None;
        self.count_cut(&ended);
        show(&ended.details);
        if self.permit.take().is_some() {
            let delay = self.backoff.after(ended.ready_for).max(RECYCLE_AGAIN);
            self.recycle_after = Instant::now() + delay;
            tracing::error!(
                server = self.server.name,
                slot = self.index,
                cause = ended.cause,
                delay_ms = delay.as_millis(),
                "the worker could not be replaced and keeps serving; retrying after the delay"
            );
        }
        self.respond(Err(ended.cause));
    }

    /// Sends the result of the replacement.
    fn respond(&mut self, result: Result<(), String>) {
        if let Some(request) = self.request.take() {
            // The receiver is gone if the program stops.
            let _ = request.send(result);
        }
    }

    fn log_replaced(&self, retired: Option<&Process>) {
        tracing::info!(
            server = self.server.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            retired = retired.map(Process::pid),
            "worker replaced"
        );
    }

    /// The worker has ended, or could not be started.
    pub(super) async fn serving_ended(&mut self, ended: EndedProcess) {
        self.serving = self.replacement.take();
        self.recycle = None;
        self.permit = None;
        self.count_cut(&ended);
        if self.is_stopping() {
            return;
        }
        // A worker that was ready could start, even if its siblings are still starting.
        let has_served = self.deaths > 0 || ended.ready_for.is_some();
        if !self.server.is_established() && !has_served {
            let (server, slot) = (&self.server.name, self.index);
            let prefix = format!("{server}: worker {slot} could not start: ");
            let reason = Reason {
                line: ended.cause,
                details: ended.details,
            };
            let event = SlotEvent::StartFailed(reason.report(prefix));
            let _ = self.events.send(event).await;
            return;
        }
        self.deaths = self.deaths.saturating_add(1);
        show(&ended.details);
        let mut delay = self.backoff.after(ended.ready_for);
        if self.serving.is_some() {
            // The replacement is already starting.
            delay = Duration::ZERO;
        } else {
            self.restart = Some(Instant::now() + delay);
            self.respond(Err(ended.cause.clone()));
        }
        tracing::error!(
            server = self.server.name,
            slot = self.index,
            pid = ended.pid,
            cause = ended.cause,
            was_ready = ended.ready_for.is_some(),
            delay_ms = delay.as_millis(),
            "worker died; the next one starts after the delay"
        );
    }

    /// The retired worker has ended.
    pub(super) fn retired_ended(&mut self, ended: &EndedProcess) {
        self.retired = None;
        self.count_cut(ended);
        if ended.cut > 0 {
            tracing::warn!(
                server = self.server.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                requests = ended.cut,
                "retired worker ended before its requests completed"
            );
        } else {
            tracing::info!(
                server = self.server.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                "retired worker ended"
            );
        }
        self.replace();
    }

    fn count_cut(&mut self, ended: &EndedProcess) {
        if self.is_stopping() {
            self.cut += ended.cut;
        }
    }
}

/// Writes the further lines of an error to the log, unchanged.
fn show(details: &str) {
    if !details.is_empty() {
        server_log::write(format!("{details}\n").as_bytes());
    }
}
