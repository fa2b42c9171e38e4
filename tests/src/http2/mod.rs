//! HTTP/2 as a client that may send anything: frames, fields as bytes, a connection. And one that keeps the rules.
//!
//! The raw client ([`RawHttp2`]) does nothing that a test does not ask for, beyond the start of the connection. The other one
//! ([`Http2Client`]) is the `h2` crate's.

mod client;
mod fields;
mod frame;
mod load;
mod raw;

pub use client::{Exchange, Http2Client, Lost};
pub use fields::Fields;
pub use frame::{Frame, code, flag, kind, setting};
pub use load::Http2Load;
pub use raw::{Outcome, PREFACE, RawHttp2};
