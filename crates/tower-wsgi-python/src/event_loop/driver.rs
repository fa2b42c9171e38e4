//! The kinds of loops: a script for each, with a class `Driver`.

/// A kind of event loop.
///
/// Its script has a class `Driver` with these methods. All but `__init__` run on the loop's thread.
///
/// | | |
/// |---|---|
/// | `__init__(machine)` | keeps the [`Machine`](super::machine::Machine); it may run on another thread |
/// | `run()` | runs the loop, which calls `machine.drain()` whenever `machine.fileno()` is readable; returns after `stop` |
/// | `respond(exchange)` | starts a task for an [`Exchange`](super::exchange::Exchange), and returns it |
/// | `perform(call)` | starts a task for a [`Call`](super::call::Call), and returns it |
/// | `cancel(task)` | cancels a task |
/// | `notify(waiter)` | wakes who waits for room |
/// | `stop(seconds)` | ends the loop: its tasks have this time, then they are cancelled |
/// | `room(exchange)` | what `write` returns when there is no room |
/// | `cancelled` | the class of the exception by which a task ends that is cancelled |
/// | `set_current(loop)` | makes a loop that of the current thread, before the application is called on a pool |
/// | `loop` | the loop, for the application |
#[derive(Clone, Copy, Debug)]
pub(super) enum Driver {
    /// asyncio, with uvloop if that is installed.
    Asyncio,
}

impl Driver {
    pub(super) fn script(self) -> &'static str {
        match self {
            Self::Asyncio => include_str!("asyncio.py"),
        }
    }

    /// The name in logs and of the thread.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Asyncio => "asyncio",
        }
    }
}
