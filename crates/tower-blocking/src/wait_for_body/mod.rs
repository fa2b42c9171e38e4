//! Wait until the request's body has arrived, then call the handler with a [`BufferedBody`].
//!
//! A client that sends slowly must not hold a thread of a blocking handler. Under this layer the
//! handler is not called before the last byte is there; until then a request costs a small buffer
//! on the event loop, and nothing else.
//!
//! A body stays in memory up to a threshold (1 MiB by default), and goes to an unnamed temporary
//! file above it. All requests of one layer share a budget of memory (64 MiB by default): beyond it
//! bodies go to disk earlier. Files are written on threads of the runtime, off the event loop, and
//! lie where `TMPDIR` says. They share a budget, too (4 GiB by default).
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the body is over the limit | `413`: at once, with nothing read, when `Content-Length` says so (and so without a `100 Continue`) |
//! | the body has not arrived at the deadline | `408` |
//! | its framing is broken, or it was cut off | `400` |
//! | it cannot be stored: the disk is full or missing, or the budget of disk is used up | `503` with `Retry-After`: with nothing read, when `Content-Length` says that the budget does not suffice |
//!
//! All of them close the connection: the rest of the body is not read.
//!
//! **A client that leaves** before its body is complete frees the buffer and the file at once; the
//! handler is never called. **At shutdown** the layer reads on: the server's drain deadline, and its
//! own, bound it.
//!
//! # Examples
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_blocking::{Body, BufferedBody, wait_for_body::WaitForBodyLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::convert::Infallible> {
//! let service = ServiceBuilder::new()
//!     .layer(WaitForBodyLayer::new(1024))
//!     .service(service_fn(|request: Request<BufferedBody>| async move {
//!         let length = request.body().len().to_string();
//!         Ok::<_, std::convert::Infallible>(Response::new(Body::from(length)))
//!     }));
//!
//! let small = Request::new(Body::from(vec![b'x'; 1024]));
//! assert_eq!(service.clone().oneshot(small).await?.status(), StatusCode::OK);
//!
//! let large = Request::new(Body::from(vec![b'x'; 1025]));
//! assert_eq!(service.oneshot(large).await?.status(), StatusCode::PAYLOAD_TOO_LARGE);
//! # Ok(())
//! # }
//! ```
//!
//! On an axum `Router`, with other settings than the defaults:
//!
//! ```
//! use std::{io::Read, time::Duration};
//! use axum::{Router, routing::{get, post_service}};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_blocking::{Body, BufferedBody, wait_for_body::WaitForBodyLayer};
//!
//! let upload = ServiceBuilder::new()
//!     .layer(
//!         WaitForBodyLayer::new(1 << 30)                // 1 GiB, then 413
//!             .timeout(Duration::from_secs(600))        // all of it within ten minutes, then 408
//!             .memory_threshold(64 << 10)               // above 64 KiB to disk
//!             .memory_budget(16 << 20),                 // 16 MiB for all uploads together
//!     )
//!     .service(service_fn(async |request: Request<BufferedBody>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(Body::from("thank you")))
//!     }));
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "hello" }))
//!     .route("/upload", post_service(upload));
//! ```

mod collect;
mod layer;
mod service;

#[cfg(doc)]
use crate::BufferedBody;

pub use self::{
    layer::WaitForBodyLayer,
    service::{ResponseFuture, WaitForBody},
};

#[cfg(all(test, feature = "full"))]
mod tests;
