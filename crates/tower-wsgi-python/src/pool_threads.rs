//! The threads of the pools, which have ended before the server's end is told.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
#[cfg(feature = "command")]
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::attached::Attached;

/// How long they are waited for. A thread without a job ends at once; one whose job hangs is not waited for.
#[cfg(feature = "command")]
const LIMIT: Duration = Duration::from_millis(200);

static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNTED: Counted = Counted::new();
}

/// A thread, until its end.
struct Counted(());

impl Counted {
    fn new() -> Self {
        COUNT.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, SeqCst);
    }
}

/// What a thread of a pool holds.
pub(crate) fn enter() -> Attached {
    // First, so that it is dropped last: after the thread's Python state.
    COUNTED.with(|_| ());
    Attached::wait_in_pool()
}

/// Waits until those have ended that run nothing. Their pools are gone. Not to be called by a thread that is
/// attached: what they have kept in Python is dropped.
#[cfg(feature = "command")]
pub(crate) fn wait_for_end() {
    let since = Instant::now();
    while COUNT.load(SeqCst) > 0 && since.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(1));
    }
}
