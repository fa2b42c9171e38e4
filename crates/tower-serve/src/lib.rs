//! One HTTP connection, served well, from any IO.
//!
//! hyper reads and writes HTTP/1.1 and HTTP/2. This crate adds what hyper leaves to its user: strict checks of requests,
//! deadlines, a close that does not destroy the last response, an access log, TLS, and a graceful shutdown. It runs no
//! processes and opens no sockets; the crate `tower-prefork` does.
//!
//! An [`HttpServer`] has the settings, and what the connections of a process share. Its
//! [`serve_connection`](HttpServer::serve_connection) is the future of one connection.
//!
//! # Example
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower::service_fn;
//! use tower_serve::{ConnectInfo, Http, HttpServer, RequestBody};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_serve::BoxError> {
//! let service = service_fn(async |request: Request<RequestBody>| {
//!     Ok::<_, Infallible>(Response::new(format!("Hello from {}!", request.uri().path())))
//! });
//! let mut limits = Http::default();
//! limits.header_timeout = Duration::from_secs(5);
//! let server = HttpServer::builder().http(limits).build()?;
//!
//! // A server accepts `io`, a `TcpStream` for example.
//! let (mut client, io) = tokio::io::duplex(4096);
//! let connection = server.serve_connection(io, ConnectInfo::unix(None), service);
//! tokio::spawn(connection);
//!
//! client.write_all(b"GET /a HTTP/1.1\r\nhost: example\r\n\r\n").await?;
//! server.shutdown(Duration::from_secs(1));
//! let mut response = String::new();
//! client.read_to_string(&mut response).await?;
//! assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
//! assert!(response.ends_with("Hello from /a!"));
//! drop(client);
//! server.closed().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Responses of the server itself
//!
//! A request that the service does not see, or to which it gives no response, gets a [`ServerResponse`]: a status and a
//! sentence, as text, HTML or JSON as the request's `Accept` prefers. [`ConnectionHooks::on_server_response`] renders them
//! in another way.
//!
//! | status | cause |
//! |---|---|
//! | 400 | the request is malformed, its target or `Host` is not valid, or its body was cut off |
//! | 408 | the request head or body did not arrive in time |
//! | 414, 431 | the target, or the request head, is too long |
//! | 417 | an expectation other than `100-continue` |
//! | 500 | the service failed or panicked |
//! | 501 | CONNECT, a method of more than 32 bytes, a transfer coding other than `chunked` |
//! | 503 | the request asks for an upgrade, and there are `max_upgraded` already |
//! | 504 | the service did not respond in time |
//! | 505 | the request came with HTTP/1.1, and [`Http::versions`] has HTTP/2 only |
//!
//! # HTTP/2
//!
//! A connection speaks HTTP/2 if it begins with the preface of HTTP/2, or if the client has chosen it by ALPN, unless
//! [`Http::versions`] says otherwise. The service sees a request as with HTTP/1.1: the authority is in `Host` as well, and the
//! crumbs of `Cookie` are joined. Its response is sent without the fields that belong to a connection.
//!
//! | | |
//! |---|---|
//! | limits | [`Http::max_concurrent_streams`] requests of a connection at once; 1 MiB of a request's body, and 2 MiB of all on a connection, wait for the service to read them; 64 KiB of a response wait for the client |
//! | deadlines | those of [`Http`], for each stream. A client that takes nothing of a response for [`Http::write_timeout`] gets `RST_STREAM` with `CANCEL`, and the body is dropped |
//! | errors | a response of the server where there is no head yet; `RST_STREAM` with `INTERNAL_ERROR` after it, also for a body that is shorter than its `Content-Length` |
//! | disconnect | the service's future, or its response body, is dropped when the client resets the stream or leaves |
//! | shutdown | GOAWAY; the streams finish, and those that the client has opened before it knew are served |
//!
//! # Upgrades
//!
//! A request of HTTP/1.1 with `Connection: upgrade`, an `Upgrade` field that names another protocol than `h2c`, and no body
//! has hyper's `OnUpgrade` in its extensions. A service that takes it and responds with 101 gets the connection, with what
//! the client has sent behind its request; axum's `ws` and `hyper-tungstenite` do it. With any other response the connection
//! stays as it was. A response 101 that the client has not asked for is sent as 500. If the service does not take the upgraded
//! connection, it is closed.
//!
//! The service reads from the socket and writes to it directly. Beside it, the server has these rules:
//!
//! | | |
//! |---|---|
//! | limit | beyond [`Http::max_upgraded`], further requests for an upgrade get 503 with `Retry-After`; the service is not called |
//! | silence | a client that sends nothing for [`Http::upgrade_idle_timeout`] is cut. That of a WebSocket gets a ping after half of it, and the service sees its pong |
//! | a client that does not read | is cut after the same time. The other timeouts do not apply |
//! | shutdown | the client of a WebSocket gets close frame 1001 (going away), as soon as the service's current frame ends. What the service sends later is discarded, and it sees the client's close frame. Any other protocol is left alone |
//! | end | when the service drops its half, the socket is closed after what was written; the service gets an error if the server cuts it |
//!
//! [`HttpServer::closed`] waits for upgraded connections too. A client may ignore its close frame, so wait for it with a
//! deadline.
//!
//! ```
//! use hyper::upgrade::OnUpgrade;
//! use http::{Request, Response};
//! use hyper_util::rt::TokioIo;
//! use tower_serve::{BoxError, RequestBody};
//!
//! /// Sends back what it gets.
//! async fn echo(mut request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
//!     let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
//!         return Ok(Response::builder().status(426).header("upgrade", "echo").body(String::new())?);
//!     };
//!     tokio::spawn(async move {
//!         let upgraded = TokioIo::new(upgrade.await?);
//!         let (mut reader, mut writer) = tokio::io::split(upgraded);
//!         tokio::io::copy(&mut reader, &mut writer).await?;
//!         Ok::<_, BoxError>(())
//!     });
//!     let response = Response::builder().status(101).header("connection", "upgrade");
//!     Ok(response.header("upgrade", "echo").body(String::new())?)
//! }
//! ```
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `tls` | `Tls`: HTTPS |

// A print panics when standard error is gone, and waits when it is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_log;
mod connection;
mod error;
mod file;
mod forwarded;
mod host;
mod http;
#[doc(hidden)]
pub mod internal;
mod log_writer;
mod proxy_protocol;
mod redirect;
mod request_id;
mod server;
mod setting;
mod threads;
#[cfg(feature = "tls")]
mod tls;

pub use access_log::{AccessLog, AccessLogFormat};
pub use connection::{
    ConnectionHooks, ConnectionStep, HttpService, Load, RequestBody, RequestSummary,
};
pub use error::BoxError;
pub use forwarded::{Forwarded, ForwardedFields, ForwardedLayer, TrustedPeers, TrustedProxies};
pub use http::{Http, HttpVersions};
pub use proxy_protocol::ProxyHeader;
pub use redirect::RedirectToHttps;
pub use server::{HttpServer, HttpServerBuilder};
pub use setting::InvalidSetting;
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, Tls, TlsVersion};
pub use tower_server_info::{
    ClientAddress, ClientCertificate, ConnectInfo, ForwardedInfo, ServerResponse, TlsInfo,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
