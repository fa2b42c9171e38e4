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
pub use tower_blocking::{Body, BoxError, body};

#[cfg(all(test, feature = "full"))]
#[allow(dead_code, reason = "the tests of the layers use more of it")]
#[path = "../../tower-blocking/src/test_helpers.rs"]
mod test_helpers;
