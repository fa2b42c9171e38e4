//! The access log: one line for each request, written by a thread of its own.
//!
//! ```text
//! event loop: Client ── Record ── line ──> log_writer: a bounded buffer, and a thread that writes
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `setting` | the settings: the file and the format |
//! | `record` | the log of a process, and one request from its head to the end of its response |
//! | `line` | the formats |
//! | `request` | the parts of a request that a line contains |
//! | `escape` | a client cannot forge a line or a field |
//! | `timestamp` | the time as text |

mod escape;
mod line;
mod record;
mod request;
mod setting;
mod timestamp;

pub(crate) use record::{Client, Log, Record, UpgradeLine};
pub use setting::{AccessLog, AccessLogFormat};
