//! Shared parts of the benchmarks: the runtime, the request, the applications, and the bare service inside the layers.

pub mod application;

use std::convert::Infallible;

use bytes::Bytes;
use divan::Bencher;
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use tower::{Service, ServiceExt as _};
use tower_wsgi::Body;

/// The body of the response of every service of the benchmarks.
pub const HELLO: &str = "Hello, world!";

/// An event loop as a worker has it, with at most `threads` threads for blocking work.
///
/// # Panics
///
/// If the system cannot create an event loop.
#[must_use]
pub fn runtime(blocking_threads: usize) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking_threads)
        .build()
        .expect("an event loop can be made")
}

/// A browser's request without a body.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn request() -> Request<Body> {
    request_with(Body::empty())
}

/// A request with this body.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn request_with<B>(body: B) -> Request<B> {
    Request::builder()
        .uri("/path/to/something?with=a&query")
        .header("host", "localhost:8000")
        .header("user-agent", "bench")
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("accept-encoding", "gzip, deflate, br")
        .body(body)
        .expect("the request is valid")
}

/// The bare service.
#[must_use]
pub fn hello<B>()
-> impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    B: Send + 'static,
{
    tower::service_fn(async |_: Request<B>| Ok(response()))
}

/// Its response.
#[must_use]
pub fn response() -> Response<Body> {
    Response::new(Body::from(Bytes::from_static(HELLO.as_bytes())))
}

/// Measures calls of a service with the plain request, one after the other.
pub fn calls<S>(bencher: Bencher<'_, '_>, runtime: &Runtime, service: &S)
where
    S: Service<Request<Body>> + Clone,
{
    bencher
        .with_inputs(request)
        .bench_local_values(|request| runtime.block_on(service.clone().oneshot(request)));
}
