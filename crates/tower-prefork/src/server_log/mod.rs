//! The server log: what the processes of a program have to say, on standard error or in a file. It never blocks who
//! writes to it, and never fails.

#[cfg(feature = "cli")]
mod panics;
mod process;
mod stream;

#[cfg(feature = "cli")]
pub(crate) use panics::log_panics;
#[cfg(feature = "cli")]
pub(crate) use process::start;
pub(crate) use process::{flush, last_words, serving, write};
pub use stream::LogStream;
