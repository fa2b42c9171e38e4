use std::{
    thread,
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// Waits until something is so.
///
/// # Panics
///
/// When it does not become so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not happen");
        // Not in a tight loop: what is waited for needs the processor.
        thread::sleep(Duration::from_millis(1));
    }
}
