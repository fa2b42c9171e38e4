#![doc = include_str!("../README.md")]
//!
//! # The modules
//!
//! Of this crate: [`wsgi`] and [`handler`]. Of [`tower_blocking`]: [`blocking`], [`body`], [`lazy`],
//! [`response_middleware`] and [`wait_for_body`].

// A print panics when standard error is gone, and waits when it is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "handler")]
pub mod handler;
#[cfg(feature = "wsgi")]
pub mod wsgi;

#[cfg(feature = "wait-for-body")]
pub use tower_blocking::BufferedBody;
#[cfg(feature = "blocking")]
pub use tower_blocking::blocking;
#[cfg(feature = "lazy")]
pub use tower_blocking::lazy;
#[cfg(feature = "response-middleware")]
pub use tower_blocking::response_middleware;
#[cfg(feature = "wait-for-body")]
pub use tower_blocking::wait_for_body;
pub use tower_blocking::{Body, BoxError, Rejection, body};

#[cfg(all(test, feature = "full"))]
#[allow(dead_code, reason = "the tests of the layers use more of it")]
#[path = "../../tower-blocking/src/test_helpers.rs"]
mod test_helpers;
