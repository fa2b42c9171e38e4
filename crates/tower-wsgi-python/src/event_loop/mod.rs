//! A Python thread that owns an event loop, and what it exchanges with the server's event loop.
//!
//! ```text
//! server's loop ── commands ──> queue ── eventfd ──> thread: driver script ─> a task for each request
//!       ^                                                                        │
//!       └──────────────────────── pieces of the responses <──────────────────────┘
//! ```
//!
//! * **In**: [`EventLoop::start`] and [`EventLoop::call`] queue a command. The loop watches an eventfd, which is
//!   written once for each batch of commands. Queueing needs no interpreter, and never waits.
//! * **Out**: the pieces of a response go through a [channel](pieces). Sending one never blocks; it says whether there
//!   is room for another. Room comes back as a command, and so does a cancellation: when the [`Pieces`] are dropped
//!   before the end, because the client has left.
//!
//! What runs on the thread is a [`Driver`]: a script with a class of this name. Another kind of loop is one more variant
//! and one more script.
//!
//! # Limits
//!
//! A loop has at most [`MAX_TASKS`] requests and calls, queued ones included. Beyond it a request gets a 503. A response
//! holds about 64 KiB of pieces that the client has not taken; [`Write`](crate::start_response::Write), which an
//! application may call without waiting for room, holds 8 MiB.
//!
//! # At shutdown
//!
//! `begin_stop` lets the tasks of all loops run until the deadline, those of the application included. Then they are
//! cancelled. A task that ignores that is named in the log, and ends with the process.

mod call;
mod commands;
mod driver;
mod exchange;
mod handle;
mod machine;
mod pieces;
#[cfg(feature = "command")]
mod shutdown;
mod tasks;
mod watch;

#[cfg(feature = "command")]
pub(crate) use self::shutdown::{begin_stop, wait_for_end};
#[cfg(doc)]
use self::{driver::Driver, tasks::MAX_TASKS};
pub(crate) use self::{
    handle::{EventLoop, Work, stats},
    pieces::PieceSender,
};
