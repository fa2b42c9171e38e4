//! Writes lines to a log that may be gone, full or stuck, from threads that must not wait for it.
//!
//! ```text
//! any thread ── LineWriter ── line ──> Buffer (bounded) ──> Writer: a thread ──> LogFile (a file)
//! ```
//!
//! The access log and the server log are written in this way. A line that finds no room is dropped and counted, and the
//! number is logged when there is room again.

mod buffer;
mod log_file;
mod target;
mod writer;

pub use log_file::LogFile;
pub(crate) use log_file::PIPE_BUF;
pub use target::{Target, check};
pub use writer::{LineWriter, reopen_all};
