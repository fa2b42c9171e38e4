//! How lines reach a log that may be gone, full or stuck, from threads that must not wait for it.
//!
//! ```text
//! any thread ── LineWriter ── line ──> Buffer (bounded) ──> Writer: a thread ──> Output (a file)
//! ```
//!
//! The access log and the server log are both written this way. A line that finds no room is dropped and counted, and
//! the count is logged when there is room again.

mod buffer;
mod line_writer;
mod output;
mod writer;

pub use line_writer::{LineWriter, reopen_all};
pub(crate) use output::PIPE_BUF;
pub use output::{Output, Target, check};
