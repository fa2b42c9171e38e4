//! What a thread of a pool holds while it runs jobs, such as the lock of an interpreter, and releases while it waits.
//!
//! [`ThreadGuard`] is shared by the threads of a pool; a [`GuardScope`] holds it on one thread; [`release_while`]
//! releases it for a wait; a [`Timeslice`] says for how long a thread keeps it while others want it.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::deferred_wakes;

thread_local! {
    static HELD: RefCell<Option<HeldGuard>> = const { RefCell::new(None) };
}

/// The timeslice of a thread while others have started jobs and may want the guard. The thread releases it between two
/// jobs then, which is cheaper than losing it in the middle of one.
const SHORT: Duration = Duration::from_millis(1);

/// The timeslice while another thread only stands by: less than the 5 ms after which CPython takes its lock away.
const LONG: Duration = Duration::from_millis(4);

/// Gives a thread of a pool what it has to hold while it runs jobs.
pub(super) struct ThreadGuard {
    enter: Box<dyn Fn() -> Box<dyn Any> + Send + Sync>,
    /// Taken by the one thread that waits in `enter`. A thread that has released the guard cannot overtake it.
    next: Mutex<()>,
    /// The number of threads that want the guard back after a wait.
    returning: AtomicUsize,
}

impl ThreadGuard {
    /// `enter` may block until the guard is free.
    pub(super) fn new<G: 'static>(enter: impl Fn() -> G + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            enter: Box::new(move || Box::new(enter())),
            next: Mutex::new(()),
            returning: AtomicUsize::new(0),
        })
    }

    /// Whether a thread wants it back after a wait.
    pub(super) fn is_wanted(&self) -> bool {
        self.returning.load(Ordering::Relaxed) > 0
    }
}

struct HeldGuard {
    guard: Arc<ThreadGuard>,
    held: Box<dyn Any>,
}

impl HeldGuard {
    fn enter(guard: Arc<ThreadGuard>) -> Self {
        let next = guard.next.lock().unwrap_or_else(PoisonError::into_inner);
        let held = (guard.enter)();
        drop(next);
        Self { guard, held }
    }
}

/// Holds the guard on this thread until it is dropped.
pub(super) struct GuardScope(());

impl GuardScope {
    /// Blocks until the guard is free.
    pub(super) fn enter(guard: &Arc<ThreadGuard>) -> Self {
        HELD.set(Some(HeldGuard::enter(Arc::clone(guard))));
        Self(())
    }

    /// Whether the guard could not be entered again after a wait.
    pub(super) fn is_lost() -> bool {
        HELD.with_borrow(Option::is_none)
    }
}

impl Drop for GuardScope {
    fn drop(&mut self) {
        HELD.take();
    }
}

/// Runs `wait`, which blocks, without the guard of this thread, so that other threads can run jobs meanwhile. Wakes the
/// tasks of the finished jobs before.
pub fn release_while<T>(wait: impl FnOnce() -> T) -> T {
    deferred_wakes::flush();
    let Some(HeldGuard { guard, held }) = HELD.take() else {
        return wait();
    };
    drop(held);
    // What unwinds from here needs the guard as well.
    let result = catch_unwind(AssertUnwindSafe(wait));
    HELD.set(Some(Returning::new(&guard).enter()));
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Counts a thread that wants the guard back.
struct Returning<'a>(&'a Arc<ThreadGuard>);

impl<'a> Returning<'a> {
    fn new(guard: &'a Arc<ThreadGuard>) -> Self {
        guard.returning.fetch_add(1, Ordering::Relaxed);
        Self(guard)
    }

    fn enter(self) -> HeldGuard {
        HeldGuard::enter(Arc::clone(self.0))
    }
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        self.0.returning.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long one thread runs jobs before it releases the guard for others.
pub(super) struct Timeslice {
    since: Instant,
    /// The number of events of the queue when its last job started.
    events: u64,
}

/// The other threads that want the guard.
#[derive(Clone, Copy)]
pub(super) struct Contenders {
    /// A thread wants it back after a wait.
    pub(super) returning: bool,
    /// A thread stands by for the queued jobs.
    pub(super) standby: bool,
    /// The number of jobs that other threads have started.
    pub(super) busy: usize,
}

impl Timeslice {
    pub(super) fn start(now: Instant) -> Self {
        Self {
            since: now,
            events: 0,
        }
    }

    /// A job starts.
    pub(super) fn job_started(&mut self, events: u64) {
        self.events = events;
    }

    /// The job has ended. If other threads started or finished jobs meanwhile, it has waited, and they had the guard.
    /// Then the timeslice starts anew: otherwise a thread would have to be woken after each job that waits.
    pub(super) fn job_ended(&mut self, events: u64, now: Instant) {
        if events != self.events {
            self.since = now;
        }
    }

    /// Whether the thread has to release the guard.
    pub(super) fn is_over(&self, now: Instant, contenders: Contenders) -> bool {
        let limit = match contenders {
            Contenders {
                returning: true, ..
            }
            | Contenders {
                standby: true,
                busy: 1..,
                ..
            } => SHORT,
            Contenders { standby: true, .. } => LONG,
            Contenders { .. } => return false,
        };
        now.saturating_duration_since(self.since) > limit
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_wait_releases_the_guard_and_enters_it_again() {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let held = Arc::new(AtomicUsize::new(0));
        let count = || held.load(Ordering::Relaxed);
        let guard = {
            let held = Arc::clone(&held);
            ThreadGuard::new(move || {
                held.fetch_add(1, Ordering::Relaxed);
                Rc::new(Counted(Arc::clone(&held)))
            })
        };
        release_while(|| assert_eq!(count(), 0));
        let scope = GuardScope::enter(&guard);
        assert_eq!(count(), 1);
        release_while(|| release_while(|| assert_eq!(count(), 0)));
        assert_eq!(count(), 1);
        let panic = catch_unwind(|| release_while(|| panic!("in the wait")));
        assert!(panic.is_err() && count() == 1 && !GuardScope::is_lost());
        assert!(!guard.is_wanted());
        drop(scope);
        assert_eq!(count(), 0);
    }

    const NO_CONTENDER: Contenders = Contenders {
        returning: false,
        standby: false,
        busy: 3,
    };
    const STANDBY: Contenders = Contenders {
        standby: true,
        busy: 0,
        ..NO_CONTENDER
    };

    #[test]
    fn a_timeslice_is_shorter_where_others_have_started_jobs() {
        let start = Instant::now();
        let slice = Timeslice::start(start);
        let busy = Contenders { busy: 1, ..STANDBY };
        let returning = Contenders {
            returning: true,
            ..NO_CONTENDER
        };
        assert!(!slice.is_over(start + 100 * LONG, NO_CONTENDER));
        for (contenders, limit) in [(STANDBY, LONG), (busy, SHORT), (returning, SHORT)] {
            assert!(!slice.is_over(start + limit, contenders));
            assert!(slice.is_over(start + 2 * limit, contenders));
        }
    }

    #[test]
    fn a_timeslice_starts_anew_when_others_had_theirs() {
        let start = Instant::now();
        let later = start + 2 * LONG;
        let mut slice = Timeslice::start(start);
        slice.job_started(7);
        slice.job_ended(7, later);
        assert!(slice.is_over(later, STANDBY), "no other thread had one");
        slice.job_started(9);
        slice.job_ended(10, later);
        assert!(!slice.is_over(later, STANDBY));
        assert!(slice.is_over(later + 2 * LONG, STANDBY));
    }
}
