//! Edit every response, in a fixed order.
//!
//! A [`ResponseMiddleware`] gets the head of the request and the response, and returns the response for the next one.
//! Closures `Fn(&Parts, Response<Body>) -> Response<Body>` are middleware. [`edit`] makes one of a function that edits the
//! response in place, [`from_async_fn`] of an asynchronous function. They run on the event loop **in the order in which
//! they were added** (tower's layers would run last first), so they must not block.
//!
//! `tower_http` has layers for many purposes, such as `CompressionLayer`, `CorsLayer` and `SetResponseHeaderLayer`. Compose
//! them with this one.
//!
//! The layer changes nothing about errors, about **a client that leaves**, or **at shutdown**. The client sees the response
//! of the last middleware. The head of the request is cloned for them.
//!
//! # Examples
//!
//! ```
//! use http::{HeaderValue, Request, Response, request::Parts};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_blocking::{Body, response_middleware::{ResponseMiddlewareLayer, from_async_fn}};
//!
//! async fn sign(request: &Parts, mut response: Response<Body>) -> Response<Body> {
//!     let signature = HeaderValue::from_str(request.uri.path()).expect("a path is a valid value");
//!     response.headers_mut().insert("signature", signature);
//!     response
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::convert::Infallible> {
//! let service = ServiceBuilder::new()
//!     .layer(
//!         ResponseMiddlewareLayer::new()
//!             .with(|_: &Parts, mut response: Response<Body>| {
//!                 response.headers_mut().insert("x-frame-options", HeaderValue::from_static("DENY"));
//!                 response
//!             })
//!             .with(from_async_fn(sign)),
//!     )
//!     .service(service_fn(|_: Request<Body>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(Body::from("hello")))
//!     }));
//!
//! let response = service.oneshot(Request::get("/a").body(Body::empty()).unwrap()).await?;
//! assert_eq!(response.headers()["x-frame-options"], "DENY");
//! assert_eq!(response.headers()["signature"], "/a");
//! # Ok(())
//! # }
//! ```
//!
//! With `tower_http`'s layers above it, on an axum `Router`:
//!
//! ```
//! use axum::{Router, routing::get};
//! use http::{Response, StatusCode, request::Parts};
//! use tower::ServiceBuilder;
//! use tower_http::{compression::CompressionLayer, cors::CorsLayer};
//! use tower_blocking::{Body, response_middleware::ResponseMiddlewareLayer};
//!
//! fn hide_failures(_: &Parts, response: Response<Body>) -> Response<Body> {
//!     if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
//!         return Response::builder().status(500).body(Body::from("sorry")).expect("a valid head");
//!     }
//!     response
//! }
//!
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(
//!     ServiceBuilder::new()
//!         .layer(CorsLayer::permissive())
//!         .layer(CompressionLayer::new())
//!         .layer(ResponseMiddlewareLayer::new().with(hide_failures)),
//! );
//! ```

mod layer;
pub(crate) mod list;
mod middleware;

pub use self::{
    layer::{EditResponse, EditResponseFuture, ResponseMiddlewareLayer},
    middleware::{EditFn, FromAsyncFn, ResponseMiddleware, edit, from_async_fn},
};

#[cfg(all(test, feature = "full"))]
mod tests;
