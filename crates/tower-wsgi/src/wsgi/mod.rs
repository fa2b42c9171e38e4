//! PEP 3333 in Rust: an [`Application`] as a tower service.
//!
//! WSGI is an interface for code that blocks. An application is a function that is called with the request as variables,
//! sets the status and the header fields of the response, and returns the body piece by piece. [`WsgiService`] is the
//! server's side of the interface. Hosts for applications in other languages are built on it.
//!
//! The service blocks: it calls the application when it is called itself, and asks for the next piece when its response
//! body is polled. **The layers around it decide where that happens**: under a
//! [`BlockingLayer`](crate::blocking::BlockingLayer) on a thread of a pool; alone on the event loop, which is right for
//! short calls. Under a [`WaitForBodyLayer`](crate::wait_for_body::WaitForBodyLayer) the application is called when the
//! whole request has arrived; without that layer, its reads wait for the client.
//!
//! # What the server's side does (PEP 3333, "Specification Details")
//!
//! * The head is sent with the first piece that is not empty. Until then a call of
//!   [`restart`](StartResponse::restart) replaces it.
//! * Each piece is passed to the server before the application is asked for the next one.
//! * An application that waits for something else than its thread returns a [`Deferred`]: a stream of pieces, which the
//!   event loop polls. Its thread is free at once, and all other rules are the same.
//! * A body in one piece gets a `Content-Length`. If the application sets a `Content-Length`, the body is cut there, and
//!   the application is not asked for more; a shorter body breaks the connection.
//! * The responses to `HEAD`, and those with the status 204 or 304, have no body; the application is asked for its first
//!   piece only.
//! * `close()`, the drop of the application's iterator, happens once, on every path: at the end, after an error, and when
//!   the client has left.
//!
//! # What the service knows of the connection
//!
//! `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_NAME`, `SERVER_PORT` and the URL scheme come from the
//! [`ConnectInfo`](tower_server_info::ConnectInfo) that `tower-serve` and `tower-prefork` put into the extensions of a
//! request. Without it, the name and the port are those of the `Host` field, and `REMOTE_ADDR` is empty.
//!
//! With the feature `axum`, a service in an axum `Router` knows more:
//!
//! | variable | comes from |
//! |---|---|
//! | `SCRIPT_NAME`, `PATH_INFO` | the path at which `nest` or `nest_service` has mounted the service, and the rest |
//! | `REQUEST_URI` | the request before a router has removed a prefix |
//! | `REMOTE_ADDR`, `REMOTE_PORT` | `Router::into_make_service_with_connect_info::<SocketAddr>()` |
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the application fails before its first piece, or does not start its response, or starts it wrongly | `500`; the error is logged |
//! | the application fails later | a broken connection, never a clean end |
//!
//! **When the client leaves**, the iteration ends at the next piece; a deferred response is dropped at once. **At shutdown**, a response continues until the
//! server's deadline.
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
//! An application that uses `write`, with a wait for the body, at a route of an axum `Router`:
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
//!         write.write(format!("{number} {line}\n"))?;        // passed to the server when this returns
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
//!
//! An application that responds later. Any number of its clients wait without a thread:
//!
//! ```
//! use bytes::Bytes;
//! use futures_util::stream;
//! use tokio::sync::watch;
//! use tower_wsgi::{BoxError, wsgi::{Application, Environ, StartResponse, WsgiService}};
//!
//! fn next_price(prices: watch::Receiver<u32>) -> impl Application {
//!     move |_: Environ, start_response: StartResponse| {
//!         let mut prices = prices.clone();
//!         start_response.start("200 OK", [("content-type", "text/plain")])?;
//!         Ok::<_, BoxError>(start_response.defer(stream::once(async move {
//!             prices.changed().await?;
//!             let price = *prices.borrow();
//!             Ok(Bytes::from(format!("{price}\n")))
//!         })))
//!     }
//! }
//!
//! let (_, prices) = watch::channel(0);
//! let service = WsgiService::new(next_price(prices));
//! ```
//!
//! With the feature `axum`, a service needs no `script_name` where it is nested:
//!
//! ```
//! use axum::Router;
//! use tower::Layer;
//! use tower_wsgi::{blocking::{BlockingLayer, BlockingPool}, wsgi::{Application, WsgiService}};
//!
//! fn router(shop: impl Application<Chunks: Send>) -> Router {
//!     let pool = BlockingPool::new(10);
//!     let shop = BlockingLayer::new(&pool).layer(WsgiService::new(shop));
//!     Router::new().nest_service("/shop", shop)              // /shop/cart: SCRIPT_NAME=/shop, PATH_INFO=/cart
//! }
//! ```

mod application;
mod body;
mod deferred;
mod environ;
mod failure;
mod file;
mod head;
mod input;
mod respond;
mod response_state;
#[cfg(feature = "axum")]
mod router;
mod service;
mod shared_response;
mod start_response;
pub mod testing;
mod tls;
mod variables;

pub use self::{
    application::{Application, IntoReply, Reply},
    body::ResponseBody,
    deferred::Deferred,
    environ::Environ,
    head::{Problem, StartError, hop_by_hop},
    input::Input,
    service::{WsgiFuture, WsgiService},
    start_response::{StartResponse, Write},
    variables::Variable,
};

#[cfg(all(test, feature = "full"))]
mod tests;
