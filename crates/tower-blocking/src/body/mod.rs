//! The bodies that travel through the layers.
//!
//! [`Body`] is what every layer answers with: an opaque response body.
//! [`BufferedBody`] is what a handler reads from: a request body that has fully arrived.

#[cfg(feature = "wait-for-body")]
mod buffered;
#[cfg(feature = "wait-for-body")]
mod probe;
mod response;

#[cfg(feature = "wait-for-body")]
pub use self::buffered::{BufferedBody, DiskSpace, Stored};
#[cfg(feature = "wait-for-body")]
pub use self::probe::probe_temporary_directory;
pub use self::response::Body;

#[cfg(all(test, feature = "full"))]
mod tests;
