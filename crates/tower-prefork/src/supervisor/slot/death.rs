//! What a slot does when a process of its ends.

use std::time::Duration;

use tokio::time::Instant;

use super::Slot;
use crate::{
    error::Reason,
    server_log,
    supervisor::{process::Ended, run::Event},
};

impl Slot {
    /// The worker has ended, or could not be started.
    pub(super) async fn died(&mut self, ended: Ended) {
        self.serving = self.replacement.take();
        // The next one is not.
        self.spent = None;
        self.turn = None;
        self.cut(&ended);
        if self.is_stopping() {
            return;
        }
        // What has served can start: it is no failed start, though its siblings may still be starting.
        let has_served = self.deaths > 0 || ended.ready_for.is_some();
        if !self.fleet.is_established() && !has_served {
            let (server, slot) = (&self.fleet.name, self.index);
            let place = format!("{server}: worker {slot} could not start: ");
            let reason = Reason {
                line: ended.cause,
                details: ended.details,
            };
            let event = Event::StartFailed(reason.report(place));
            let _ = self.events.send(event).await;
            return;
        }
        self.deaths = self.deaths.saturating_add(1);
        show(&ended.details);
        let mut delay = self.backoff.after(ended.ready_for);
        if self.serving.is_some() {
            // The next one is on its way.
            delay = Duration::ZERO;
        } else {
            self.restart = Some(Instant::now() + delay);
            self.answer(Err(ended.cause.clone()));
        }
        tracing::error!(
            server = self.fleet.name,
            slot = self.index,
            pid = ended.pid,
            cause = ended.cause,
            was_ready = ended.ready_for.is_some(),
            delay_ms = delay.as_millis(),
            "worker died; the next one starts after the delay"
        );
    }

    /// The retired worker has ended.
    pub(super) fn left(&mut self, ended: &Ended) {
        self.retired = None;
        self.cut(ended);
        if ended.cut > 0 {
            tracing::warn!(
                server = self.fleet.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                requests = ended.cut,
                "retired worker ended before its requests were done"
            );
        } else {
            tracing::info!(
                server = self.fleet.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                "retired worker ended"
            );
        }
        self.replace();
    }

    pub(super) fn cut(&mut self, ended: &Ended) {
        if self.is_stopping() {
            self.cut += ended.cut;
        }
    }
}

/// Shows the operator what is more than a line of the log.
pub(super) fn show(details: &str) {
    if !details.is_empty() {
        server_log::write(format!("{details}\n").as_bytes());
    }
}
