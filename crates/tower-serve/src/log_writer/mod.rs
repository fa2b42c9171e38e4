//! Writes lines to a log that may be gone, full or stuck, from threads that must not wait for it.
//!
//! ```text
//! any thread ── LineWriter ── line ──> Buffer (bounded) ──> Writer: a thread ──> Output (a file)
//! ```
//!
//! The access log and the server log are written in this way. A line that finds no room is dropped and counted, and the
//! number is logged when there is room again.

mod buffer;
mod output;
mod target;
mod writer;

pub use output::Output;
pub(crate) use output::PIPE_BUF;
pub use target::{Target, check};
pub use writer::{LineWriter, reopen_all};
