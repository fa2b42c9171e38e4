use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep},
};

/// Waits for a deadline that is another one with each request: rather than being moved every time, it wakes
/// early and goes on.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Timer {
    /// For a first deadline.
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(deadline)),
            waker: None,
        }
    }

    pub(super) fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        while !self.wakes_by(deadline, cx.waker()) {
            if self.sleep.is_elapsed() || self.sleep.deadline() > deadline {
                self.sleep.as_mut().reset(deadline);
            }
            // Constrained, it could be pending without having taken the waker.
            if pin!(unconstrained(self.sleep.as_mut()))
                .poll(cx)
                .is_pending()
            {
                self.waker = Some(cx.waker().clone());
                break;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether it need not be asked again, which costs more.
    fn wakes_by(&self, deadline: Instant, waker: &Waker) -> bool {
        let is_known = |known: &Waker| known.will_wake(waker);
        self.sleep.deadline() <= deadline
            && self.waker.as_ref().is_some_and(is_known)
            && !self.sleep.is_elapsed()
    }
}
