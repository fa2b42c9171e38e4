//! The wakes that a thread of a pool defers, so that one wake of the event loop serves the responses of several jobs.
//!
//! Waking the event loop for every response costs a context switch each time. While a thread has more jobs, a response
//! waits for those of the next jobs, but only for a fraction of the time that its request has waited in the queue, so
//! that its latency grows little. If one of the jobs takes long, the timer of the [`WakeBatch`] flushes it.

use std::{
    cell::RefCell,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::wake_batch::WakeBatch;

/// A response waits at most for this fraction of the time that its request has waited.
const FRACTION: u32 = 4;

/// The maximum time that a response waits.
const MAX_DELAY: Duration = Duration::from_millis(2);

thread_local! {
    static DEFERRED: RefCell<DeferredWakes> = const {
        RefCell::new(DeferredWakes {
            delay: Duration::ZERO,
            batch: None,
            deadline: None,
        })
    };
}

struct DeferredWakes {
    /// How long the response of the running job may wait.
    delay: Duration,
    /// Has wakers that this thread has pushed and not flushed.
    batch: Option<Arc<WakeBatch>>,
    /// When the first of them has waited long enough.
    deadline: Option<Instant>,
}

/// A job starts while others are queued. It has waited for the time `waited`, and is expected to run as long as the last
/// one, which took `last_took`.
pub(super) fn job_started(waited: Duration, last_took: Duration) {
    let delay = MAX_DELAY.min(waited / FRACTION);
    let is_enough = delay > last_took;
    DEFERRED.with_borrow_mut(|deferred| {
        deferred.delay = if is_enough { delay } else { Duration::ZERO };
    });
}

/// A job starts, and no other is queued.
pub(super) fn last_job_started() {
    DEFERRED.with_borrow_mut(|deferred| deferred.delay = Duration::ZERO);
}

/// Wakes a task, now or together with the next ones.
pub(super) fn wake(batch: &Arc<WakeBatch>, waker: Waker) {
    // No foreign code runs while it is borrowed.
    if DEFERRED.with_borrow(|deferred| deferred.delay.is_zero()) {
        return batch.wake(waker);
    }
    if !batch.push(waker) {
        return;
    }
    let before = DEFERRED.with_borrow_mut(|deferred| deferred.batch.replace(Arc::clone(batch)));
    // That of another event loop.
    if let Some(other) = before.filter(|before| !Arc::ptr_eq(before, batch)) {
        other.flush();
    }
}

/// Whether to flush after a job that ended `now`.
pub(super) fn is_due(has_queued: bool, now: Instant) -> bool {
    DEFERRED.with_borrow_mut(|deferred| {
        if deferred.batch.is_none() {
            return false;
        }
        let deadline = *deferred.deadline.get_or_insert(now + deferred.delay);
        !has_queued || now >= deadline
    })
}

/// Whether there is something to flush.
pub(super) fn is_pending() -> bool {
    DEFERRED.with_borrow(|deferred| deferred.batch.is_some())
}

/// Wakes the event loop for the deferred wakes. A thread calls it before it waits.
pub(super) fn flush() {
    let batch = DEFERRED.with_borrow_mut(|deferred| {
        deferred.deadline = None;
        deferred.batch.take()
    });
    if let Some(batch) = batch {
        batch.flush();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Whether the response of a job that was queued for `waited` waits, after a job that ran for `took`.
    fn waits(waited: Duration, took: Duration) -> bool {
        job_started(waited, took);
        wake(&WakeBatch::with_timer(), noop_waker());
        let waits = is_pending();
        flush();
        waits
    }

    #[test]
    fn a_response_waits_where_its_request_has_waited_for_much_longer() {
        let ms = Duration::from_millis;
        assert!(waits(LONG, ms(1)));
        assert!(waits(ms(5), ms(1)));
        assert!(!waits(ms(4), ms(1)));
        assert!(!waits(ms(0), ms(0)));
        assert!(!waits(LONG, MAX_DELAY), "never for so long");
        last_job_started();
        wake(&WakeBatch::with_timer(), noop_waker());
        assert!(!is_pending(), "no other job is queued");
    }

    #[test]
    fn it_waits_until_its_deadline_or_until_no_job_is_queued() {
        let now = Instant::now();
        assert!(!is_due(false, now), "there is none");
        job_started(LONG, Duration::ZERO);
        wake(&WakeBatch::with_timer(), noop_waker());
        assert!(!is_due(true, now));
        assert!(!is_due(true, now + MAX_DELAY / 2));
        assert!(is_due(true, now + MAX_DELAY));
        assert!(is_due(false, now));
        flush();
        assert!(!is_due(false, now + MAX_DELAY));
    }

    #[test]
    fn the_wakes_of_another_event_loop_are_flushed_first() {
        let (one, other) = (WakeBatch::with_timer(), WakeBatch::with_timer());
        job_started(LONG, Duration::ZERO);
        wake(&one, noop_waker());
        wake(&one, noop_waker());
        assert!(!one.is_flushed());
        wake(&other, noop_waker());
        assert!(one.is_flushed() && !other.is_flushed());
        flush();
        assert!(other.is_flushed());
    }
}
