//! The bodies of requests and responses.
//!
//! [`Body`] is the opaque response body of every layer. [`BufferedBody`] is a request body that has fully arrived.

#[cfg(feature = "wait-for-body")]
mod buffered;
mod response;

#[cfg(feature = "wait-for-body")]
pub use self::buffered::{BufferedBody, DiskSpace, Stored};
pub use self::response::Body;
#[cfg(feature = "wait-for-body")]
pub use crate::spool::probe_temporary_directory;

#[cfg(all(test, feature = "full"))]
mod tests;
