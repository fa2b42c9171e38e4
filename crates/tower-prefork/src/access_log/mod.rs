//! The access log: one line per answered request, written off the request's path.
//!
//! ```text
//! event loop: Client ── Record ── line ──> Buffer (bounded) ──> writer: a thread ──> Output (a file)
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `setting` | what an operator chooses: the file and the format |
//! | `log` | the log of one worker, which its connections share |
//! | `record` | one request, from its head to the end of its response, which makes the line |
//! | `asked`, `line`, `user`, `escape`, `stamp` | how a line looks, and what a client cannot put into it |
//! | `buffer` | lines that wait; the event loop never does |
//! | `writer`, `output` | the thread that writes them, and its file: opened again when it was renamed |

mod asked;
mod buffer;
mod escape;
mod line;
mod log;
mod output;
mod record;
mod setting;
mod stamp;
mod user;
mod writer;

pub(crate) use log::{Client, Log};
pub(crate) use output::check;
pub(crate) use record::Record;
pub use setting::{AccessLog, AccessLogFormat};
