#![doc = include_str!("../README.md")]
//!
//! # The modules
//!
//! | module and feature | layer | what it does |
//! |---|---|---|
//! | [`wait_for_body`] | [`WaitForBodyLayer`](wait_for_body::WaitForBodyLayer) | calls the handler when the whole request body has arrived, in memory or on disk |
//! | [`blocking`] | [`BlockingLayer`](blocking::BlockingLayer) | runs the call, its future and its response body on a bounded pool of threads |
//! | [`lazy`] | [`LazyLayer`](lazy::LazyLayer) | builds the service at the first request, once for all clones |
//! | [`response_middleware`] | [`ResponseMiddlewareLayer`](response_middleware::ResponseMiddlewareLayer) | edits every response, in the order added |
//!
//! The features are on by default (`full`); with `default-features = false` each brings only what it needs.

// A print panics when standard error is gone, and waits when it is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod body;
#[cfg(feature = "lazy")]
pub mod lazy;
#[cfg(feature = "response-middleware")]
pub mod response_middleware;
#[cfg(feature = "wait-for-body")]
pub mod wait_for_body;

#[doc(hidden)]
pub mod internal;

#[cfg(feature = "axum")]
mod axum;

#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod budget;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod on_rejection;
mod rejection;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod spool;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod throttle;

#[cfg(feature = "wait-for-body")]
pub use self::body::BufferedBody;
pub use self::{body::Body, rejection::Rejection};

/// An error of any type, as in tower.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(all(test, feature = "full"))]
mod test_helpers;
