//! How large the stacks of the threads are that call Python.

use rustix::process::{Resource, getrlimit};

const LEAST: u64 = 8 << 20;
const MOST: u64 = 64 << 20;

/// The stack in bytes of a thread that calls Python: what the interpreter's main thread has, by
/// `RLIMIT_STACK`, within 8 and 64 MiB.
///
/// The interpreter and its extensions count how deep a recursion is, not how large its frames are: the limit
/// assumes the stack of a main thread. Only what is used of it takes memory.
pub(crate) fn size() -> usize {
    // Unlimited is nothing that a thread can have.
    let limit = getrlimit(Resource::Stack).current.unwrap_or(MOST);
    usize::try_from(limit.clamp(LEAST, MOST)).unwrap_or(usize::MAX)
}
