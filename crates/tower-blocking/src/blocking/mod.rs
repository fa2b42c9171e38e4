//! Run a service that blocks on a bounded number of threads.
//!
//! [`BlockingLayer`] wraps any service. Its call, its future (which need not be `Send`) and its
//! response body all run on the threads of a [`BlockingPool`]; the event loop only carries the bytes.
//! [`blocking_fn`] makes such a service of a plain function.
//!
//! A pool runs at most as many jobs at once as it has threads. `max_queued` more may wait, each for
//! at most `queue_timeout`. Several layers can share one pool, so that one number bounds the
//! blocking work of the whole process. The threads are the pool's own: it starts them as work comes, and one that is
//! without work for a second ends. Where the system refuses a thread, the pool goes on with those it has, and asks
//! again by and by.
//!
//! While jobs wait, the answer of one may be handed over with those of the next ones: after a quarter of the time
//! that its request has waited at the latest, and after two milliseconds. A job that finds a free thread is
//! answered at once.
//!
//! A response body is pumped into a buffer: 1 MiB of memory, above that a temporary file. So a
//! client that reads slowly holds no thread; the thread is free as soon as the body has been
//! produced. All responses of a pool share 64 MiB of memory, beside 256 KiB that each may have in any
//! case, and [`max_spooled`](BlockingPool::max_spooled) bytes of disk, of which one may have
//! [`max_spooled_response`](BlockingPool::max_spooled_response). Beyond it, and where the disk is full or missing,
//! the thread waits for its reader, and gives up after 30 seconds without progress. While requests wait for a thread,
//! it gives up earlier: the reader who has taken nothing for longest, at least a second, is cut first, and as
//! many as there are requests that wait.
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
//! A panic in the service unwinds into the response future, as if the service had run there:
//! `tower_http`'s `CatchPanicLayer` above this layer makes a 500 of it.
//!
//! **A client that leaves** while its request is queued takes the request out of the queue: it never
//! costs a thread. A client that has only closed its sending side may still wait for the response, or it may have gone:
//! where the server tells of it ([`ConnectInfo`](tower_server_info::ConnectInfo) in the request's extensions), its
//! request is dropped when it has waited for a thread for more than a second. Code that already runs cannot be stopped; it keeps its thread until it returns, and
//! [`BlockingPool::abandoned`] tells of it. A response body that is being produced for nobody is dropped at
//! its next frame.
//!
//! **At shutdown** [`BlockingPool::drain`] lets what is queued and running finish, within a deadline. The end of a
//! runtime waits for no job: its threads end as soon as they have none.
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
//!     std::thread::sleep(std::time::Duration::from_millis(10)); // as slow code as you like
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
    layer::{Blocking, BlockingLayer, ResponseFuture},
    pool::BlockingPool,
    run::JobFuture,
};

#[cfg(all(test, feature = "full"))]
mod tests;
