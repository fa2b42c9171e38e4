//! What a thread holds while it runs jobs, and gives up while it waits.

use std::{any::Any, cell::RefCell, sync::Arc};

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Makes what a thread is to hold. It may block until it can be had.
pub(super) type Enter = Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>;

struct Held {
    enter: Enter,
    guard: Box<dyn Any>,
}

/// Held until this is dropped.
pub(super) struct Holding(());

impl Holding {
    /// Waits until it can be had.
    pub(super) fn begin(enter: &Enter) -> Self {
        let guard = enter();
        let enter = Arc::clone(enter);
        HELD.set(Some(Held { enter, guard }));
        Self(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        HELD.take();
    }
}

/// Waits for something, without what this thread holds: others may have it meanwhile.
pub(crate) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    let Some(Held { enter, guard }) = HELD.take() else {
        return wait();
    };
    drop(guard);
    let result = wait();
    let guard = enter();
    HELD.set(Some(Held { enter, guard }));
    result
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
        let enter: Enter = {
            let held = Arc::clone(&held);
            Arc::new(move || {
                held.fetch_add(1, Ordering::Relaxed);
                Box::new(Rc::new(Guard(Arc::clone(&held))))
            })
        };
        waiting(|| assert_eq!(count(), 0));
        let holding = Holding::begin(&enter);
        assert_eq!(count(), 1);
        waiting(|| waiting(|| assert_eq!(count(), 0)));
        assert_eq!(count(), 1);
        drop(holding);
        assert_eq!(count(), 0);
    }
}
