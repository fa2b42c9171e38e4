//! The time for which the program goes on when it is asked to stop.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{end::End, run::SupervisorLoop};
use crate::Phase;

impl SupervisorLoop {
    /// An operator asks to stop: at once, or after a while in which everything goes on, but for readiness.
    /// One who asks again has no more patience.
    pub(super) fn stop_asked(&mut self) -> Option<End> {
        if self.drain_at.is_some() {
            tracing::warn!("asked again; stopping at once");
            return Some(End::Quit);
        }
        let servers = self.servers.iter();
        let delays = servers.map(|server| server.fleet.config().shutdown_delay);
        let delay = delays.max().unwrap_or_default();
        if delay.is_zero() || !self.is_ready() {
            return Some(End::Drain);
        }
        log_delay(delay);
        // It would serve on, as nobody has told it to stop.
        self.plans.break_off_upgrade();
        self.drain_at = Some(Instant::now() + delay);
        self.announcer.announce(Phase::Stopping);
        for server in &self.servers {
            server.fleet.stops();
        }
        None
    }
}

/// Waits until it is time to drain, which may be never.
pub(super) async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Tells the operator that the stop was heard.
pub(crate) fn log_delay(delay: Duration) {
    tracing::info!(
        delay_s = delay.as_secs_f64(),
        "stopping after the delay; until then requests are served and readiness is off"
    );
}
