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
/// | `thread_ident()` | the identifier of the thread, as the interpreter knows it |
/// | `cancelled` | the class of the exception by which a task ends that is cancelled |
/// | `set_current(loop)` | makes a loop that of the current thread, before the application is called on a pool |
/// | `loop` | the loop, for the application |
#[derive(Clone, Copy, Debug)]
pub(super) enum Driver {
    /// asyncio, with uvloop if that is installed.
    Asyncio,
    /// gevent, whose greenlets run blocking code. Its [`Work`](super::handle::Work) is a tuple of the application and its
    /// arguments, which the script calls: native code must not be on the stack when a greenlet switches.
    Gevent,
}

impl Driver {
    pub(super) fn script(self) -> &'static str {
        match self {
            Self::Asyncio => include_str!("asyncio.py"),
            Self::Gevent => include_str!("gevent.py"),
        }
    }

    /// The name in logs and of the thread.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Asyncio => "asyncio",
            Self::Gevent => "gevent",
        }
    }

    /// Whether its thread switches greenlets.
    pub(super) fn has_greenlets(self) -> bool {
        matches!(self, Self::Gevent)
    }

    /// What code must do in place of holding up the loop.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Asyncio => {
                "it must await what takes time, or run it in a thread (asyncio.to_thread)"
            }
            Self::Gevent => {
                "it must call gevent.sleep(0) now and then, or run what takes time in a thread \
                 (gevent.get_hub().threadpool.apply)"
            }
        }
    }
}
