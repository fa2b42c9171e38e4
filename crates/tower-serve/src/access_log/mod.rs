//! The access log: one line per answered request, written off the request's path.
//!
//! ```text
//! event loop: Client ── Record ── line ──> log_writer: a bounded buffer, and a thread that writes
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `setting` | what an operator chooses: the file and the format |
//! | `log` | the log of one worker, which its connections share |
//! | `record` | one request, from its head to the end of its response, which makes the line |
//! | `asked`, `line`, `user`, `escape`, `stamp` | how a line looks, and what a client cannot put into it |

mod asked;
mod escape;
mod line;
mod log;
mod record;
mod setting;
mod stamp;
mod user;

pub(crate) use log::Client;
pub(crate) use log::Log;
pub(crate) use record::Record;
pub use setting::{AccessLog, AccessLogFormat};
