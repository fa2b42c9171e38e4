//! PEP 3333 in Rust: an [`Application`] as a tower service.
//!
//! WSGI is an interface for code that blocks: a function that gets the request as variables, says what
//! status and headers the response has, and gives the body piece by piece. [`WsgiService`] keeps the
//! server's side of it, to the letter; a host for applications in another language stands on it.
//!
//! The service blocks: it calls the application where it is called itself, and asks for each piece where
//! its response body is polled. **The layers decide where that is**: under a
//! [`BlockingLayer`](crate::blocking::BlockingLayer) on a thread of a pool, alone on the event loop, which
//! is right for short calls. Under a [`WaitForBodyLayer`](crate::wait_for_body::WaitForBodyLayer) the
//! application is called when the request has arrived; without, its reads wait for the client.
//!
//! # What the server's side does (PEP 3333, "Specification Details")
//!
//! * The head is sent with the first piece that is not empty. Until then a call of
//!   [`restart`](StartResponse::restart) replaces it.
//! * Each piece is on its way to the client before the next one is asked for.
//! * A body in one piece gets a `Content-Length`. More than the application's own `Content-Length` is not
//!   sent, and it is not asked for more; less breaks the connection.
//! * The response to `HEAD`, 204 and 304 have no body; the application is asked for no more than its first
//!   piece.
//! * `close()`, the drop of the application's iterator, happens once, on every path: at the end, after an
//!   error, and when the client has left.
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the application fails before its first piece, does not start its response, or starts it wrongly | `500`, and the error in the log |
//! | it fails later | a broken connection, never a clean end |
//!
//! **A client that leaves** ends the iteration at the next piece. **At shutdown** a response goes on until
//! the server's deadline.
//!
//! # Examples
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use tower::{Layer, ServiceExt};
//! use tower_wsgi::{
//!     Body, BoxError,
//!     blocking::{BlockingLayer, BlockingPool},
//!     wsgi::{Environ, StartResponse, WsgiService},
//! };
//!
//! fn hello(environ: Environ, start_response: StartResponse) -> Result<[Result<Bytes, BoxError>; 1], BoxError> {
//!     start_response.start("200 OK", [("content-type", "text/plain")])?;
//!     Ok([Ok(Bytes::from(format!("hello from {}", environ.uri().path())))])
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let pool = BlockingPool::new(10);
//! let service = BlockingLayer::new(&pool).layer(WsgiService::new(hello));
//!
//! let response = service.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! An application with `write`, behind a wait for the body, mounted below a path of an axum `Router`:
//!
//! ```
//! use std::io::Read;
//! use axum::Router;
//! use bytes::Bytes;
//! use tower::ServiceBuilder;
//! use tower_wsgi::{
//!     BoxError,
//!     blocking::{BlockingLayer, BlockingPool},
//!     wait_for_body::WaitForBodyLayer,
//!     wsgi::{Environ, StartResponse, WsgiService},
//! };
//!
//! type Chunks = std::iter::Empty<Result<Bytes, BoxError>>;
//!
//! fn lines(mut environ: Environ, start_response: StartResponse) -> Result<Chunks, BoxError> {
//!     let mut text = String::new();
//!     environ.input().read_to_string(&mut text)?;
//!     let write = start_response.start("200 OK", [("content-type", "text/plain")])?;
//!     for (number, line) in text.lines().enumerate() {
//!         write.write(format!("{number} {line}\n"))?;        // on its way when this returns
//!     }
//!     Ok(std::iter::empty())
//! }
//!
//! let app: Router = Router::new().route_service(
//!     "/lines",
//!     ServiceBuilder::new()
//!         .layer(WaitForBodyLayer::new(1 << 20))
//!         .layer(BlockingLayer::new(&BlockingPool::new(10)))
//!         .service(WsgiService::new(lines).script_name("/lines")),
//! );
//! ```

mod application;
mod body;
mod environ;
mod file;
mod head;
mod input;
mod response_state;
mod service;
pub mod testing;
mod variables;

pub use self::{
    application::{Application, StartResponse, Write},
    body::ResponseBody,
    environ::Environ,
    head::{Problem, StartError, hop_by_hop},
    input::Input,
    service::WsgiService,
    variables::Variable,
};

#[cfg(all(test, feature = "full"))]
mod tests;
