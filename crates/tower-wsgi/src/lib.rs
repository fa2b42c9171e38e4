//! Tower layers for web code that blocks: that waits for a database, a file, a lock.
//!
//! | module and feature | layer | what it does |
//! |---|---|---|
//! | [`wait_for_body`] | [`WaitForBodyLayer`](wait_for_body::WaitForBodyLayer) | calls the handler when the whole request body is there, in memory or on disk |
//! | [`blocking`] | [`BlockingLayer`](blocking::BlockingLayer) | runs the call, its future and its response body on a bounded pool of threads |
//! | [`lazy`] | [`LazyLayer`](lazy::LazyLayer) | builds the service at the first request, once for all clones |
//! | [`response_middleware`] | [`ResponseMiddlewareLayer`](response_middleware::ResponseMiddlewareLayer) | edits every response, in the order added |
//! | [`wsgi`] | – | [`WsgiService`](wsgi::WsgiService): PEP 3333 in Rust, an application as a service |
//! | [`handler`] | – | [`WsgiHandler`](handler::WsgiHandler): all of them behind one builder |
//!
//! Each works alone, in a `tower::ServiceBuilder`, on an axum `Router`, under any hyper server. They
//! take any request body and answer with [`Body`]. What goes wrong for the client becomes a response
//! with a status (413, 408, 503), so a service that never fails (`Error = Infallible`) stays one. The
//! documentation of each says what the client sees at its limits, when the client leaves, and at
//! shutdown.
//!
//! The features are on by default (`full`); with `default-features = false` each brings only what it
//! needs. All of it needs a tokio runtime with its timer, and Unix.
//!
//! Panics are caught and answered, so a program must not be built with `panic = "abort"`.

// A print panics when standard error is gone, and waits when it is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod body;
#[cfg(feature = "handler")]
pub mod handler;
#[cfg(feature = "lazy")]
pub mod lazy;
#[cfg(feature = "response-middleware")]
pub mod response_middleware;
#[cfg(feature = "wait-for-body")]
pub mod wait_for_body;
#[cfg(feature = "wsgi")]
pub mod wsgi;

#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod budget;
#[cfg(any(feature = "handler", feature = "wsgi"))]
mod error_page;
#[cfg(any(feature = "blocking", feature = "lazy", feature = "wait-for-body"))]
mod rejection;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod spool;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod throttle;

pub use self::body::Body;
#[cfg(feature = "wait-for-body")]
pub use self::body::BufferedBody;

/// An error of any kind, as tower spells it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(all(test, feature = "full"))]
mod test_helpers;
