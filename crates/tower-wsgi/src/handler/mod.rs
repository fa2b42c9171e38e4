//! All of the layers behind one builder: a finished handler that never fails.
//!
//! A [`WsgiHandler`] takes a request through a fixed order:
//!
//! 1. the [`Middleware`], in the order added, on the event loop. The first one that answers ends the
//!    way in; the body has not been read yet, so a refusal costs nothing;
//! 2. the wait for the body, if [`wait_for_body`](WsgiHandlerBuilder::wait_for_body) was called;
//! 3. the handlers, in the order added: functions [in the executor](WsgiHandlerBuilder::in_executor)
//!    (on a pool), which may say "not mine" with `None`;
//!    [WSGI applications](WsgiHandlerBuilder::application) (on a pool) and
//!    [services](WsgiHandlerBuilder::service) on the event loop, which always answer. Nobody answered: 404;
//! 4. the [`ResponseMiddleware`](crate::response_middleware::ResponseMiddleware), in the order added.
//!
//! Each part is optional. The finished handler is `Clone + Send + Sync` with `Error = Infallible`, so
//! that it fits wherever a tower service fits: an axum `Router`, `axum::serve`, `tower_prefork`.
//!
//! # What the client sees
//!
//! What its parts answer ([`wait_for_body`](crate::wait_for_body), [`blocking`](crate::blocking)),
//! and moreover `404` when nobody answered, and `500` for an error or a panic of a handler or a
//! middleware. These are error pages in the form that the client accepts (`text/plain`, `text/html`
//! or `application/json`); they tell the status and one general sentence, never the error. That goes
//! to the log, with the method and the path.
//!
//! **A client that leaves**, and **the shutdown**: as its parts.
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
//!         return Ok(None);                                   // not mine: 404 if nobody else answers
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
//!     .in_executor(&pool, shout)
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
//!     // ask somebody, asynchronously
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
//!     .in_executor(&pool, |_: &mut Request<BufferedBody>| Response::new(Body::from("hello")))
//!     .response_middleware(add_policy)
//!     .build();
//! let app: Router = Router::new()
//!     .route("/health", get(|| async { "ok" }))
//!     .fallback_service(handler);
//! ```

mod answer;
mod builder;
mod chain;
mod middleware;
mod service;

pub use self::{
    answer::IntoAnswer,
    builder::WsgiHandlerBuilder,
    middleware::{FromAsyncFn, Middleware, from_async_fn},
    service::{ResponseFuture, WsgiHandler},
};

#[cfg(all(test, feature = "full"))]
mod tests;
