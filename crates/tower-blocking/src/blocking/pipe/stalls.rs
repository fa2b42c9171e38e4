//! The threads that wait for a reader, and which of them has to give up because queued requests need a thread.
//!
//! The reader that has taken nothing for longest is cut first, and at most as many are cut as requests are queued.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::throttle::Throttle;

/// A reader is not cut before it has taken nothing for this time.
pub(super) const MIN_STALL: Duration = Duration::from_secs(1);

/// The threads of one pool that wait for a reader.
pub(super) struct StalledWriters {
    waiting: Mutex<StallList>,
    /// Returns the number of queued requests.
    queued: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
}

#[derive(Default)]
struct StallList {
    next_id: u64,
    stalls: Vec<Stall>,
}

#[derive(Clone, Copy)]
struct Stall {
    id: u64,
    since: Instant,
    state: StallState,
}

#[derive(Clone, Copy, PartialEq)]
enum StallState {
    Waits,
    /// Its thread is on its way to a queued request.
    Yields,
}

impl StalledWriters {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            queued: OnceLock::new(),
        })
    }

    /// `queued` returns the number of queued requests. It is set once.
    pub(super) fn set_queued(&self, queued: impl Fn() -> usize + Send + Sync + 'static) {
        let _ = self.queued.set(Box::new(queued));
    }

    /// A thread starts to wait for a reader that has taken nothing since `now`.
    pub(super) fn start(self: &Arc<Self>, now: Instant) -> StallGuard {
        let mut waiting = self.waiting();
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.stalls.push(Stall {
            id,
            since: now,
            state: StallState::Waits,
        });
        StallGuard {
            stalls: Arc::clone(self),
            id,
            since: now,
        }
    }

    fn queued(&self) -> usize {
        self.queued.get().map_or(0, |queued| queued())
    }

    // Nothing panics under the lock, so the list behind a poisoned one is consistent.
    fn waiting(&self) -> MutexGuard<'_, StallList> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits for a reader, until this is dropped.
pub(super) struct StallGuard {
    stalls: Arc<StalledWriters>,
    id: u64,
    since: Instant,
}

impl StallGuard {
    /// How long the reader has taken nothing.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// The reader has taken something.
    pub(super) fn reader_took(&mut self, now: Instant) {
        self.since = now;
        let mut waiting = self.stalls.waiting();
        if let Some(stall) = waiting.stalls.iter_mut().find(|stall| stall.id == self.id) {
            stall.since = now;
        }
    }

    /// Whether this thread has to give up its reader for a queued request.
    pub(super) fn yields(&self, now: Instant) -> bool {
        if self.lasts(now) < MIN_STALL {
            return false;
        }
        let queued = self.stalls.queued();
        let mut waiting = self.stalls.waiting();
        let yields = waiting.yields(self.id, queued, now);
        drop(waiting);
        if yields {
            static CUT: Throttle = Throttle::new();
            if let Some(clients) = CUT.pass(now) {
                tracing::warn!(
                    clients,
                    "clients that read nothing of their response for a second were cut, since queued requests need their threads"
                );
            }
        }
        yields
    }
}

impl StallList {
    /// Whether `id` is among the `queued` longest stalls that have lasted long enough. Those whose threads are on their way
    /// already count first.
    fn yields(&mut self, id: u64, queued: usize, now: Instant) -> bool {
        let Some(own) = self.stalls.iter().copied().find(|stall| stall.id == id) else {
            return false;
        };
        let before = |stall: &&Stall| {
            stall.state == StallState::Yields || (stall.since, stall.id) < (own.since, own.id)
        };
        let rank = self.stalls.iter().filter(before).count();
        let yields = now.saturating_duration_since(own.since) >= MIN_STALL && rank < queued;
        if yields && let Some(stall) = self.stalls.iter_mut().find(|stall| stall.id == id) {
            stall.state = StallState::Yields;
        }
        yields
    }
}

impl Drop for StallGuard {
    fn drop(&mut self) {
        let mut waiting = self.stalls.waiting();
        waiting.stalls.retain(|stall| stall.id != self.id);
    }
}

impl fmt::Debug for StallGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallGuard")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn stalls(queued: usize) -> (Arc<StalledWriters>, Arc<AtomicUsize>) {
        let number = Arc::new(AtomicUsize::new(queued));
        let stalls = StalledWriters::new();
        let asked = Arc::clone(&number);
        stalls.set_queued(move || asked.load(Ordering::Relaxed));
        (stalls, number)
    }

    #[test]
    fn no_reader_is_cut_while_no_request_is_queued() {
        let (stalls, _) = stalls(0);
        let start = Instant::now();
        let stalled = stalls.start(start);
        assert!(!stalled.yields(start + 100 * MIN_STALL));
    }

    #[test]
    fn no_reader_is_cut_before_it_has_taken_nothing_for_a_while() {
        let (stalls, _) = stalls(9);
        let start = Instant::now();
        let mut stalled = stalls.start(start);
        assert!(!stalled.yields(start + MIN_STALL / 2));
        stalled.reader_took(start + MIN_STALL / 2);
        assert!(!stalled.yields(start + MIN_STALL));
        assert!(stalled.yields(start + 2 * MIN_STALL));
    }

    #[test]
    fn as_many_readers_are_cut_as_requests_are_queued_and_the_longest_stalled_first() {
        let (stalls, queued) = stalls(1);
        let start = Instant::now();
        let [mut first, second, third] =
            [0, 1, 2].map(|n| stalls.start(start + n * MIN_STALL / 10));
        let now = start + 2 * MIN_STALL;
        assert!(!third.yields(now) && !second.yields(now));
        first.reader_took(now);
        assert!(!third.yields(now) && second.yields(now));
        // Its thread is on its way to the only queued request.
        assert!(!third.yields(now));
        queued.store(2, Ordering::Relaxed);
        assert!(third.yields(now));
        drop((second, third));
        assert!(first.yields(now + MIN_STALL));
    }
}
