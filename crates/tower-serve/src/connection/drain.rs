use std::{task::Waker, time::Duration};

use tokio::sync::watch;

/// Waits until the worker is to stop, or to stop in another time than it was told before.
pub(super) async fn drained(
    mut drain: watch::Receiver<Option<Duration>>,
    told: Option<Duration>,
) -> (Duration, watch::Receiver<Option<Duration>>) {
    let idle = drain.wait_for(|idle| *idle != told).await;
    if let Ok(Some(idle)) = idle.map(|idle| *idle) {
        return (idle, drain);
    }
    // Nobody is left to say so.
    std::future::pending().await
}

/// Tells whether [`drained`] has to be asked, which costs more.
pub(super) struct News {
    drain: watch::Receiver<Option<Duration>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl News {
    pub(super) fn of(drain: watch::Receiver<Option<Duration>>) -> Self {
        let waker = None;
        Self { drain, waker }
    }

    pub(super) fn are_there(&mut self, waker: &Waker) -> bool {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if known && !self.drain.has_changed().unwrap_or(true) {
            return false;
        }
        self.waker = Some(waker.clone());
        self.drain.mark_unchanged();
        true
    }
}
