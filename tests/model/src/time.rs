//! `std::time` and `tokio::time`: a clock that advances when it is read, and when the event loop has nothing else to do.

use std::{
    cell::Cell,
    future::poll_fn,
    ops::Add,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

pub(crate) use real::time::Duration;

use crate::runtime::Handle;

/// The time from one reading of the clock to the next.
const TICK: Duration = Duration::from_micros(100);

/// A time that is further away never comes.
const NEAR: Duration = Duration::from_secs(24 * 60 * 60);

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

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// Whether it comes at all, in a model.
    pub(crate) fn is_near(self) -> bool {
        self.0 < NOW.get() + NEAR
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

impl From<Instant> for real::time::Instant {
    fn from(_: Instant) -> Self {
        Self::now()
    }
}

/// A timer of the event loop that made it.
pub(crate) struct Sleep {
    runtime: Handle,
    id: u64,
    deadline: Instant,
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let runtime = Handle::current();
    let id = runtime.timer();
    Sleep {
        runtime,
        id,
        deadline,
    }
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

#[derive(Debug)]
pub(crate) struct Elapsed;

pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut limit = pin!(sleep(limit));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

impl Sleep {
    /// Has `waker` woken, at its time and as long as it is there.
    pub(crate) fn wake(&self, waker: Waker) {
        self.runtime.set_timer(self.id, self.deadline, waker);
    }

    pub(crate) fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.runtime.remove_timer(self.id);
        self.get_mut().deadline = deadline;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if NOW.get() >= self.deadline.0 {
            self.runtime.remove_timer(self.id);
            return Poll::Ready(());
        }
        self.wake(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.runtime.remove_timer(self.id);
    }
}
