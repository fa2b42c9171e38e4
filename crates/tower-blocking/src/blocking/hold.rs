//! What a thread holds while it runs jobs, and gives up while it waits.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::deferred;

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The way to what the threads of a pool are to hold.
pub(super) struct Gate {
    enter: Box<dyn Fn() -> Box<dyn Any> + Send + Sync>,
    /// Of the one thread that waits for it. A thread that steps down cannot have it again before.
    turn: Mutex<()>,
    /// The threads that have waited for something and want to go on.
    returning: AtomicUsize,
}

impl Gate {
    /// `enter` may block until it can be had.
    pub(super) fn new<G: 'static>(enter: impl Fn() -> G + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            enter: Box::new(move || Box::new(enter())),
            turn: Mutex::new(()),
            returning: AtomicUsize::new(0),
        })
    }

    /// Whether a thread that has waited wants it back.
    pub(super) fn is_wanted(&self) -> bool {
        self.returning.load(Ordering::Relaxed) > 0
    }
}

struct Held {
    gate: Arc<Gate>,
    guard: Box<dyn Any>,
}

impl Held {
    fn enter(gate: Arc<Gate>) -> Self {
        let turn = gate.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = (gate.enter)();
        drop(turn);
        Self { gate, guard }
    }
}

/// Held until this is dropped.
pub(super) struct Holding(());

impl Holding {
    /// Waits until it can be had.
    pub(super) fn begin(gate: &Arc<Gate>) -> Self {
        HELD.set(Some(Held::enter(Arc::clone(gate))));
        Self(())
    }

    /// Whether it could not be had again after a wait.
    pub(super) fn is_lost() -> bool {
        HELD.with_borrow(Option::is_none)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        HELD.take();
    }
}

/// Waits for something, without what this thread holds: others may have it meanwhile. The event loop hears of
/// the answers before.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    deferred::flush();
    let Some(Held { gate, guard }) = HELD.take() else {
        return wait();
    };
    drop(guard);
    // What unwinds from here needs it as well.
    let result = catch_unwind(AssertUnwindSafe(wait));
    HELD.set(Some(Returning::new(&gate).enter()));
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

struct Returning<'a>(&'a Arc<Gate>);

impl<'a> Returning<'a> {
    fn new(gate: &'a Arc<Gate>) -> Self {
        gate.returning.fetch_add(1, Ordering::Relaxed);
        Self(gate)
    }

    fn enter(self) -> Held {
        Held::enter(Arc::clone(self.0))
    }
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        self.0.returning.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        rc::Rc,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn a_wait_gives_it_up_and_takes_it_again() {
        struct Guard(Arc<AtomicUsize>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let held = Arc::new(AtomicUsize::new(0));
        let count = || held.load(Ordering::Relaxed);
        let gate = {
            let held = Arc::clone(&held);
            Gate::new(move || {
                held.fetch_add(1, Ordering::Relaxed);
                Rc::new(Guard(Arc::clone(&held)))
            })
        };
        waiting(|| assert_eq!(count(), 0));
        let holding = Holding::begin(&gate);
        assert_eq!(count(), 1);
        waiting(|| waiting(|| assert_eq!(count(), 0)));
        assert_eq!(count(), 1);
        let panic = catch_unwind(|| waiting(|| panic!("in the wait")));
        assert!(panic.is_err() && count() == 1 && !Holding::is_lost());
        assert!(!gate.is_wanted());
        drop(holding);
        assert_eq!(count(), 0);
    }
}
