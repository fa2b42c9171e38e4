//! Wait until the request body has arrived, then call the handler with a [`BufferedBody`].
//!
//! A client that sends slowly must not hold a thread of a blocking handler. This layer calls the handler when the last byte
//! has arrived. Until then a request costs a small buffer on the event loop.
//!
//! A body stays in memory up to a threshold (1 MiB by default). A larger one is written to an unnamed temporary file. All
//! requests of one layer share a memory budget (64 MiB by default), beyond which bodies go to disk earlier, and a disk
//! budget (4 GiB by default). Threads of the runtime write the files, off the event loop, in the directory `TMPDIR`.
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the body exceeds the limit | `413`; if its `Content-Length` says so, before anything is read and without a `100 Continue` |
//! | the body has not arrived at the deadline | `408` |
//! | the framing of the body is malformed, or the body was cut off | `400` |
//! | the body cannot be stored: the disk is full or missing, or the disk budget is used up | `503` with `Retry-After`; if its `Content-Length` exceeds the budget, before anything is read |
//!
//! All of them close the connection, since the rest of the body is not read.
//! [`on_rejection`](WaitForBodyLayer::on_rejection) replaces the response.
//!
//! **A client that leaves** before its body is complete releases the buffer and the file at once, and the handler is not
//! called. **At shutdown** the layer continues to read, within the server's drain deadline and its own timeout.
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
    service::{WaitForBody, WaitForBodyFuture},
};

#[cfg(all(test, feature = "full"))]
mod tests;
