//! The threads of the pools: their stack size, what they hold while they run jobs, and waiting for their end.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
#[cfg(feature = "command")]
use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};

use crate::attach::AttachGuard;

const MIN_STACK_SIZE: u64 = 8 << 20;
const MAX_STACK_SIZE: u64 = 64 << 20;

/// Maximum time to wait for the threads' end. An idle thread ends at once; one with a stuck job is left alone.
#[cfg(feature = "command")]
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// The number of pool threads in this process.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNTED: CountedThread = CountedThread::new();
}

/// Counts its thread until the thread ends.
struct CountedThread(());

impl CountedThread {
    fn new() -> Self {
        COUNT.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Drop for CountedThread {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, SeqCst);
    }
}

/// The stack size in bytes of a thread that calls Python: that of the interpreter's main thread, which is
/// `RLIMIT_STACK`, between 8 and 64 MiB.
///
/// The interpreter and its extensions limit the depth of a recursion, not the size of its frames; the limit
/// assumes the stack of a main thread. Unused stack takes no memory.
pub(crate) fn stack_size() -> usize {
    // A thread's stack cannot be unlimited.
    let limit = getrlimit(Resource::Stack).current.unwrap_or(MAX_STACK_SIZE);
    usize::try_from(limit.clamp(MIN_STACK_SIZE, MAX_STACK_SIZE)).unwrap_or(usize::MAX)
}

/// What a thread of a pool holds while it runs jobs.
pub(crate) fn attach() -> AttachGuard {
    // Initialised first, so that it is dropped last: after the thread's Python state.
    COUNTED.with(|_| ());
    AttachGuard::acquire_in_pool()
}

/// Waits until the idle threads have ended, after their pools were dropped. The caller must not be attached: the
/// ending threads drop Python objects.
#[cfg(feature = "command")]
pub(crate) fn wait_for_end() {
    let since = Instant::now();
    while COUNT.load(SeqCst) > 0 && since.elapsed() < END_TIMEOUT {
        thread::sleep(Duration::from_millis(1));
    }
}
