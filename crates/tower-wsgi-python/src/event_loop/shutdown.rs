//! The end of the loops, when the process that serves ends.

use std::{
    sync::{PoisonError, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use pyo3::Python;

use super::{
    EventLoop,
    commands::LoopCommand,
    handle::{ASYNCIO, GEVENT, lock},
};

/// How long a stop waits after the deadline for a loop to end.
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// Lets the tasks of all loops end until the deadline; then they are cancelled.
pub(crate) fn begin_stop(py: Python<'_>, deadline: Instant) {
    for event_loop in existing(py) {
        let state = &event_loop.state;
        if state.thread.load(SeqCst) {
            state.commands.push(LoopCommand::Stop(deadline));
        }
    }
}

/// Waits until all loops have ended, or shortly after the deadline.
pub(crate) fn wait_for_end(py: Python<'_>, deadline: Instant) {
    for event_loop in existing(py) {
        py.detach(|| wait_for(event_loop, deadline));
    }
}

/// The loops that were made.
fn existing(py: Python<'_>) -> impl Iterator<Item = &'static EventLoop> {
    [ASYNCIO.get(py), GEVENT.get(py)].into_iter().flatten()
}

/// Waits until the thread of the loop has ended, or shortly after the deadline.
fn wait_for(event_loop: &EventLoop, deadline: Instant) {
    let state = &event_loop.state;
    if !state.thread.load(SeqCst) {
        return;
    }
    let deadline = deadline.max(Instant::now()) + END_TIMEOUT;
    let mut ended = lock(&state.ended);
    while !*ended {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let waited = state.on_end.wait_timeout(ended, left);
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}
