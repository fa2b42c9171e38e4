//! The threads that wait for a reader, and which of them is to give up because requests wait for a thread.
//!
//! The reader who has taken nothing for longest is cut first, and as many as there are requests that wait.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crate::throttle::Throttle;

/// A reader is not cut before it has taken nothing for so long.
pub(super) const ENOUGH: Duration = Duration::from_secs(1);

/// The threads of one pool that wait for a reader.
pub(super) struct Stalls {
    waiting: Mutex<Waiting>,
    /// How many requests wait for a thread.
    queued: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
}

#[derive(Default)]
struct Waiting {
    next_id: u64,
    stalls: Vec<Stall>,
}

#[derive(Clone, Copy)]
struct Stall {
    id: u64,
    since: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waits,
    /// Its thread is on its way to a request that waits.
    Yields,
}

impl Stalls {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            queued: OnceLock::new(),
        })
    }

    /// `queued` says how many requests wait for a thread. It is set once.
    pub(super) fn ask(&self, queued: impl Fn() -> usize + Send + Sync + 'static) {
        let _ = self.queued.set(Box::new(queued));
    }

    /// A thread begins to wait for a reader that has taken nothing since `now`.
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> Stalled {
        let mut waiting = self.waiting();
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.stalls.push(Stall {
            id,
            since: now,
            state: State::Waits,
        });
        Stalled {
            stalls: Arc::clone(self),
            id,
            since: now,
        }
    }

    fn queued(&self) -> usize {
        self.queued.get().map_or(0, |queued| queued())
    }

    // Nothing panics under the lock, so a poisoned one is still in order.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits for a reader. It is known until this is dropped.
pub(super) struct Stalled {
    stalls: Arc<Stalls>,
    id: u64,
    since: Instant,
}

impl Stalled {
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

    /// Whether this thread has to give up its reader for a request that waits.
    pub(super) fn yields(&self, now: Instant) -> bool {
        if self.lasts(now) < ENOUGH {
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
                    "clients that took nothing of their response for a second were cut: requests wait for their threads"
                );
            }
        }
        yields
    }
}

impl Waiting {
    /// Whether `id` is among the `queued` longest stalls that have lasted long enough. Those whose threads are
    /// on their way already count first.
    fn yields(&mut self, id: u64, queued: usize, now: Instant) -> bool {
        let Some(own) = self.stalls.iter().copied().find(|stall| stall.id == id) else {
            return false;
        };
        let before = |stall: &&Stall| {
            stall.state == State::Yields || (stall.since, stall.id) < (own.since, own.id)
        };
        let rank = self.stalls.iter().filter(before).count();
        let yields = now.saturating_duration_since(own.since) >= ENOUGH && rank < queued;
        if yields && let Some(stall) = self.stalls.iter_mut().find(|stall| stall.id == id) {
            stall.state = State::Yields;
        }
        yields
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        let mut waiting = self.stalls.waiting();
        waiting.stalls.retain(|stall| stall.id != self.id);
    }
}

impl fmt::Debug for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stalled")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn stalls(queued: usize) -> (Arc<Stalls>, Arc<AtomicUsize>) {
        let number = Arc::new(AtomicUsize::new(queued));
        let stalls = Stalls::new();
        let asked = Arc::clone(&number);
        stalls.ask(move || asked.load(Ordering::Relaxed));
        (stalls, number)
    }

    #[test]
    fn nobody_is_cut_while_no_request_waits() {
        let (stalls, _) = stalls(0);
        let start = Instant::now();
        let stalled = stalls.begin(start);
        assert!(!stalled.yields(start + 100 * ENOUGH));
    }

    #[test]
    fn nobody_is_cut_before_it_has_taken_nothing_for_a_while() {
        let (stalls, _) = stalls(9);
        let start = Instant::now();
        let mut stalled = stalls.begin(start);
        assert!(!stalled.yields(start + ENOUGH / 2));
        stalled.reader_took(start + ENOUGH / 2);
        assert!(!stalled.yields(start + ENOUGH));
        assert!(stalled.yields(start + 2 * ENOUGH));
    }

    #[test]
    fn as_many_are_cut_as_requests_wait_and_the_longest_stalled_first() {
        let (stalls, queued) = stalls(1);
        let start = Instant::now();
        let [mut first, second, third] = [0, 1, 2].map(|n| stalls.begin(start + n * ENOUGH / 10));
        let now = start + 2 * ENOUGH;
        assert!(!third.yields(now) && !second.yields(now));
        first.reader_took(now);
        assert!(!third.yields(now) && second.yields(now));
        // Its thread is on its way; the only request that waits is for it.
        assert!(!third.yields(now));
        queued.store(2, Ordering::Relaxed);
        assert!(third.yields(now));
        drop((second, third));
        assert!(first.yields(now + ENOUGH));
    }
}
