//! Run a service that blocks on a bounded number of threads.
//!
//! [`BlockingLayer`] wraps any service. Its call, its future (which need not be `Send`) and its response body run on the
//! threads of a [`BlockingPool`], and the event loop only transports the bytes. [`blocking_fn`] makes such a service from a
//! plain function, and [`BlockingPool::run`] runs a single closure.
//!
//! A pool runs at most as many jobs at once as it has threads. Up to `max_queued` more jobs wait, each for at most
//! `queue_timeout`. Several layers can share one pool, so that one number bounds the blocking work of the whole process. The
//! pool starts its threads when there is work for them, and a thread that has been without work for a second ends. If the
//! system refuses a thread, the pool continues with those that it has, and tries again later.
//!
//! While jobs are queued, the response of a job may be handed over together with those of the next jobs. It is delayed by
//! at most a quarter of the time that its request was queued, and at most two milliseconds. A job that finds a free thread
//! is not delayed.
//!
//! A response body is written into a buffer: 1 MiB of memory, then a temporary file. So a client that reads slowly holds no
//! thread: the thread is free as soon as the body has been produced. All responses of a pool share 64 MiB of memory, besides
//! 256 KiB for each, and [`max_spooled`](BlockingPool::max_spooled) bytes of disk, of which one response may use
//! [`max_spooled_response`](BlockingPool::max_spooled_response). Beyond these limits, and if the disk is full or missing,
//! the thread waits for its client, and gives up after 30 seconds without progress. While requests are queued it gives up
//! earlier: the client that has read nothing for longest, and for at least a second, is cut first, and at most as many
//! clients are cut as requests are queued.
//!
//! # Request bodies
//!
//! A service on the pool that reads a request body while it arrives waits for the client, so that a slow upload holds a
//! thread. Put a [`WaitForBodyLayer`](crate::wait_for_body::WaitForBodyLayer) above the `BlockingLayer`. Without one the
//! layer logs a warning at the first such request; [`BlockingLayer::streaming`] allows it. Requests without a body, such as
//! those of `GET`, need neither.
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the queue is full, or the pool is drained | `503` with `Retry-After`, at once |
//! | a job waited longer than `queue_timeout` | `503` with `Retry-After` |
//! | a job waited longer than a second, and the client has closed its sending side | `503` with `Retry-After` |
//! | the system refuses threads, and the pool has none | `503` with `Retry-After`, at once |
//! | the response body fails before its first byte | `500` |
//! | it fails later | a broken connection, never a clean end |
//!
//! [`on_rejection`](BlockingLayer::on_rejection) replaces the responses with 503; the [`Rejection`](crate::Rejection) is
//! their cause. A panic in the service unwinds into the response future, as if the service had run there:
//! `CatchPanicLayer` of `tower_http` above this layer turns it into a 500.
//!
//! **A client that leaves** while its request is queued takes the request out of the queue. A client that has only closed
//! its sending side may still wait for the response, or it may have left. If the server provides a
//! [`ConnectInfo`](tower_server_info::ConnectInfo) in the request's extensions, the request of such a client is dropped when
//! it has been queued for more than a second. Code that runs cannot be stopped: it keeps its thread until it returns, and
//! [`BlockingPool::stats`] lists it as stuck. If the client leaves while its response body is being produced, the body is
//! dropped at its next frame.
//!
//! **At shutdown** [`BlockingPool::drain`] waits for the queued and the running jobs, within a deadline. The end of a runtime
//! does not wait for jobs: its threads end as soon as they have none.
//!
//! # Examples
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt};
//! use tower_blocking::{Body, blocking::{BlockingLayer, BlockingPool, blocking_fn}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = BlockingPool::new(4);
//! let service = BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
//!     std::thread::sleep(std::time::Duration::from_millis(10)); // code that blocks
//!     Ok::<_, std::convert::Infallible>(Response::new(Body::from("done")))
//! }));
//!
//! let response = service.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(pool.stats().refused, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Two routes of an axum `Router` on one pool, with other bounds than the defaults:
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use http::{Request, Response};
//! use tower::Layer;
//! use tower_blocking::{Body, blocking::{BlockingLayer, BlockingPool, blocking_fn}};
//!
//! let pool = BlockingPool::new(10)
//!     .max_queued(100)
//!     .queue_timeout(Duration::from_secs(5));
//! let blocking = BlockingLayer::new(&pool);
//! let report = blocking_fn(|_: Request<axum::body::Body>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(Body::from("a long report")))
//! });
//! let app: Router = Router::new()
//!     .route("/health", get(|| async { "ok" }))          // stays on the event loop
//!     .route_service("/report", blocking.layer(report))
//!     .route("/hash", get(|| async { /* runs on the pool as well */ }).layer(blocking));
//! ```

mod adaptive_spin;
pub(crate) mod block_on;
mod deferred_wakes;
mod entries;
mod function;
pub(crate) mod job;
mod layer;
pub(crate) mod pipe;
mod pool;
mod queue;
mod queue_timeout;
pub(crate) mod reply;
pub(crate) mod run;
mod scaling;
mod shared;
mod spawner;
pub(crate) mod thread;
pub(crate) mod thread_guard;
mod wake_batch;

pub use self::{
    function::{BlockingFn, IntoServiceResult, blocking_fn},
    layer::{Blocking, BlockingFuture, BlockingLayer},
    pool::BlockingPool,
    run::JobFuture,
};

#[cfg(all(test, feature = "full"))]
mod tests;
