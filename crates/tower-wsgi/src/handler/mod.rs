//! All of the layers behind one builder: a complete handler that never fails.
//!
//! A [`WsgiHandler`] takes a request through these steps, in this order:
//!
//! 1. the [`Middleware`], in the order added, on the event loop. The first one that responds ends the processing; the
//!    body has not been read yet, so it is cheap to refuse a request here;
//! 2. the wait for the body, if [`wait_for_body`](WsgiHandlerBuilder::wait_for_body) was called;
//! 3. the handlers, in the order added: [blocking functions](WsgiHandlerBuilder::blocking) on a pool, which pass a
//!    request on by returning `None`; [WSGI applications](WsgiHandlerBuilder::application) on a pool; and
//!    [services](WsgiHandlerBuilder::service) on the event loop. The last two always respond. A request that all
//!    handlers pass on gets a 404;
//! 4. the [`ResponseMiddleware`](crate::response_middleware::ResponseMiddleware), in the order added.
//!
//! Each part is optional. The finished handler is `Clone + Send + Sync` with `Error = Infallible`, so it can be used
//! wherever a tower service can: in an axum `Router`, with `axum::serve`, with `tower_prefork`.
//!
//! # What the client sees
//!
//! The responses of its parts ([`wait_for_body`](crate::wait_for_body), [`blocking`](crate::blocking)), a `404` when
//! no handler responds, and a `500` after an error or a panic of a handler or of middleware. These have the form that
//! the client accepts (`text/plain`, `text/html` or `application/json`); they contain the status and one general
//! sentence, never the error. The error goes to the log, with the method and the path.
//!
//! **When the client leaves**, and **at shutdown**, the parts behave as their documentation says.
//!
//! # Examples
//!
//! ```
//! use std::io::Read;
//! use http::{Request, Response};
//! use tower::ServiceExt;
//! use tower_wsgi::{
//!     Body, BoxError, BufferedBody, blocking::BlockingPool, handler::WsgiHandler,
//!     wait_for_body::WaitForBodyLayer,
//! };
//!
//! fn shout(request: &mut Request<BufferedBody>) -> Result<Option<Response<Body>>, BoxError> {
//!     if request.uri().path() != "/shout" {
//!         return Ok(None);                                   // passes it on; 404 after the last handler
//!     }
//!     let mut text = String::new();
//!     request.body_mut().read_to_string(&mut text)?;         // an error is a 500
//!     Ok(Some(Response::new(Body::from(text.to_uppercase()))))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::convert::Infallible> {
//! let pool = BlockingPool::new(10);
//! let handler = WsgiHandler::builder()
//!     .wait_for_body(WaitForBodyLayer::new(8 << 20))
//!     .blocking(&pool, shout)
//!     .build();
//!
//! let request = Request::post("/shout").body(Body::from("hello")).unwrap();
//! assert_eq!(handler.clone().oneshot(request).await?.status(), 200);
//! let request = Request::get("/elsewhere").body(Body::empty()).unwrap();
//! assert_eq!(handler.oneshot(request).await?.status(), 404);
//! # Ok(())
//! # }
//! ```
//!
//! With middleware on both sides, as the fallback of an axum `Router`:
//!
//! ```
//! use std::ops::ControlFlow;
//! use axum::{Router, routing::get};
//! use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
//! use tower_wsgi::{
//!     Body, BufferedBody, blocking::BlockingPool,
//!     handler::{WsgiHandler, from_async_fn},
//!     wait_for_body::WaitForBodyLayer,
//! };
//!
//! fn clean_path(request: &mut Parts) -> ControlFlow<Response<Body>> {
//!     if !request.uri.path().contains("//") {
//!         return ControlFlow::Continue(());
//!     }
//!     let mut response = Response::new(Body::empty());
//!     *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
//!     response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
//!     ControlFlow::Break(response)
//! }
//!
//! async fn authorize(request: &mut Parts) -> ControlFlow<Response<Body>> {
//!     // look the user up, asynchronously
//!     request.extensions.insert("Ada");
//!     ControlFlow::Continue(())
//! }
//!
//! fn add_policy(_: &Parts, mut response: Response<Body>) -> Response<Body> {
//!     let policy = HeaderValue::from_static("default-src 'self'");
//!     response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
//!     response
//! }
//!
//! let pool = BlockingPool::new(10);
//! let handler = WsgiHandler::builder()
//!     .middleware(clean_path)
//!     .middleware(from_async_fn(authorize))
//!     .wait_for_body(WaitForBodyLayer::new(8 << 20))
//!     .blocking(&pool, |_: &mut Request<BufferedBody>| Response::new(Body::from("hello")))
//!     .response_middleware(add_policy)
//!     .build();
//! let app: Router = Router::new()
//!     .route("/health", get(|| async { "ok" }))
//!     .fallback_service(handler);
//! ```

mod blocking;
mod builder;
mod chain;
mod future;
mod middleware;
mod service;

pub use self::{
    blocking::IntoOptionalResponse,
    builder::WsgiHandlerBuilder,
    future::ResponseFuture,
    middleware::{FromAsyncFn, Middleware, from_async_fn},
    service::{BoxWsgiHandler, WsgiHandler},
};

#[cfg(all(test, feature = "full"))]
mod tests;
