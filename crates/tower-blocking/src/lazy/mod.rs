//! Build a service at its first request, once for all clones.
//!
//! Some applications cannot be built where the server is configured: building them takes long, it blocks, or it has to
//! happen in the process that serves them. [`LazyLayer`] makes a service from a function that builds one.
//!
//! The first request builds the service, and requests that arrive meanwhile wait for the same build. If the build fails,
//! they are refused, and the next request builds again. If the request that builds is dropped, or the build panics, the
//! next request builds again as well. [`Lazy::warm`] builds without a request, so that a server can refuse to become ready.
//!
//! A build that blocks belongs on a pool: with a [`BlockingLayer`](crate::blocking::BlockingLayer) above, it runs on a
//! thread of the pool.
//!
//! # What the client sees
//!
//! `503` with `Retry-After` if the build failed. The error goes to the log, not to the client. **A client that leaves**
//! during the build hands it over to the next request that waits, which starts it again. **At shutdown** the layer does
//! nothing.
//!
//! # Examples
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt};
//! use tower_blocking::{Body, BoxError, lazy::LazyLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let service = LazyLayer::new().layer(|| async {
//!     let greeting = String::from("hello");          // read a file, load a model, …
//!     Ok::<_, BoxError>(tower::service_fn(move |_: Request<Body>| {
//!         let response = Response::new(Body::from(greeting.clone()));
//!         async { Ok::<_, std::convert::Infallible>(response) }
//!     }))
//! });
//!
//! service.warm().await?;                             // optional: fail now rather than later
//! let response = service.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! Built on a thread of a pool, as part of an axum `Router`:
//!
//! ```
//! use axum::Router;
//! use http::{Request, Response};
//! use tower::ServiceBuilder;
//! use tower_blocking::{
//!     Body, BoxError,
//!     blocking::{BlockingLayer, BlockingPool, blocking_fn},
//!     lazy::LazyLayer,
//! };
//!
//! async fn load() -> Result<
//!     impl tower::Service<
//!         Request<axum::body::Body>, Response = Response<Body>, Error = std::convert::Infallible,
//!         Future: Send,
//!     > + Clone + Send + Sync + 'static,
//!     BoxError,
//! > {
//!     let words = std::fs::read_to_string("/usr/share/dict/words")?;  // may block: see below
//!     Ok(blocking_fn(move |_| Ok(Response::new(Body::from(words.len().to_string())))))
//! }
//!
//! let pool = BlockingPool::new(4);
//! let app: Router = Router::new().fallback_service(
//!     ServiceBuilder::new()
//!         .layer(BlockingLayer::new(&pool))
//!         .layer(LazyLayer::new())
//!         .service(load),
//! );
//! ```

mod build;
mod layer;

pub use self::layer::{Lazy, LazyFuture, LazyLayer};

#[cfg(all(test, feature = "full"))]
mod tests;
