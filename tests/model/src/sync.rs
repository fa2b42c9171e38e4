//! `std::sync` with shuttle's locks, and `tokio::sync`.

use std::{
    task::{Wake, Waker},
    time::Duration,
};

pub(crate) use real::sync::*;
pub(crate) use real_tokio::sync::Notify;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};

use crate::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

/// As `std`'s: shuttle's has no time limits.
pub(crate) struct Condvar(Arc<Notice>);

struct Notice(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Notice(shuttle::sync::Condvar::new())))
    }

    pub(crate) fn notify_one(&self) {
        self.0.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.0.wait(guard)
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.0.0.wait_while(guard, condition)
    }

    /// On a thread that belongs to an event loop, this ends after `limit`.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        let timer = Handle::try_current().ok().map(|_| {
            let timer = sleep_until(Instant::now() + limit);
            timer.wake(Waker::from(Arc::clone(&self.0)));
            timer
        });
        let guard = self.wait(guard);
        drop(timer);
        guard
            .map(|guard| (guard, ()))
            .map_err(|poisoned| PoisonError::new((poisoned.into_inner(), ())))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _limit: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        self.wait_while(guard, condition)
            .map(|guard| (guard, ()))
            .map_err(|poisoned| PoisonError::new((poisoned.into_inner(), ())))
    }
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.0.notify_all();
    }
}
