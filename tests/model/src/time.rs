//! `std::time` and `tokio::time`: a clock that goes on where somebody reads it, and where the event loop has nothing
//! else to do.

use std::{
    cell::Cell,
    ops::Add,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

pub(crate) use real::time::Duration;

use crate::runtime::{Handle, Timers};

/// So much goes by from one look at the clock to the next.
const TICK: Duration = Duration::from_micros(100);

// Of a model: its threads are all on one of the system's.
real::thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        NOW.set(NOW.get() + TICK);
        Self(NOW.get())
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// It is as late as this, or later.
    pub(crate) fn comes(self) {
        NOW.set(NOW.get().max(self.0));
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// A timer of the event loop that made it.
pub(crate) struct Sleep {
    timers: Arc<Timers>,
    id: u64,
    deadline: Instant,
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let timers = Handle::current().timers();
    let id = timers.next_id();
    Sleep {
        timers,
        id,
        deadline,
    }
}

impl Sleep {
    pub(crate) fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.timers.remove(self.id);
        self.get_mut().deadline = deadline;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if NOW.get() >= self.deadline.0 {
            return Poll::Ready(());
        }
        self.timers.set(self.id, self.deadline, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timers.remove(self.id);
    }
}
