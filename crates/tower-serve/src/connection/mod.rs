//! One client connection: hyper, its limits and timeouts, and the strict checks above hyper.
//!
//! hyper reads and writes HTTP/1.1 and HTTP/2. What it accepts or leaves to its user is refused or limited here. In the order in which
//! a request passes them:
//!
//! | module | what it does |
//! |---|---|
//! | `shared`, `load`, `table` | what the connections of one server share: settings, counters, and a table in which a new connection takes the place of an idle one |
//! | `tcp`, `opening`, `handshake` | a TCP connection, which may have to begin with the header of the PROXY protocol, and with a TLS handshake |
//! | `serve` | drives a connection: active in the hands of hyper, idle without hyper and its buffer, or closing |
//! | `protocol` | the protocol, chosen in one place, and hyper for it |
//! | `handle`, `state`, `output` | the state of a connection, which its parts report to: enums that only the connection's task changes |
//! | `deadlines` | the deadlines of a connection, on one timer |
//! | `io`, `received` | the socket; what of its input hyper hides |
//! | `exchange` | one request and its response: checks it, calls the service, has its deadline |
//! | `check`, `readiness` | requests that RFC 9110 and RFC 9112 forbid are refused before the service is called; those of load balancers are responded to |
//! | `shared_body`, `request_body` | the request's body, which another thread may read; a broken or stalled one never looks whole |
//! | `respond`, `refusal`, `server_response` | from the service's result to the response; each cause for which the server responds itself, and how |
//! | `response_body` | the response's body, at whose end the exchange ends; a broken one never looks whole |
//! | `close` | a close that does not destroy the last response, and one that does; the response to a request that hyper could not read |
//! | `upgrade` | a connection that leaves HTTP by a response 101 |
//! | `http2` | a connection that speaks HTTP/2: from its preface on, or as agreed by ALPN |
//! | `http_service`, `events` | what the user gives: a service, and hooks |
//!
//! `Content-Length` together with `Transfer-Encoding`: hyper takes the length out of the request before the service could
//! see it, reads the body as chunked, and closes the connection after the response. So nothing that follows on
//! that connection is ever taken for a request, as RFC 9112 section 6.3 requires.
//!
//! The lines before the chunks of a body, of which hyper accepts some that the grammar does not have (`5;`, a NUL in an
//! extension), are checked as they are read, by `received`. Where a body begins is known if its request was not
//! sent behind another one in the same piece, and if head and first piece together have less than 9 KiB; otherwise
//! hyper's rules hold. The framing is hyper's in any case, so that nothing can be smuggled by the difference.
//!
//! A client that shuts down its sending side after a whole request gets its response, after which the connection
//! closes (RFC 9112 section 9.6). It has left when the connection is reset, or when nothing can be written to it. The
//! service learns of the end from the [`ConnectInfo`] in the request's extensions.

mod check;
mod close;
mod deadlines;
mod events;
mod exchange;
mod handle;
#[cfg(feature = "tls")]
mod handshake;
mod http2;
mod http_service;
mod io;
mod load;
mod opening;
mod output;
mod protocol;
mod readiness;
mod received;
mod refusal;
mod request_body;
mod respond;
mod response_body;
mod serve;
mod server_response;
mod shared;
mod shared_body;
mod state;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod upgrade;

pub use events::{ConnectionHooks, ConnectionStep};
pub use http_service::HttpService;
pub use load::Load;
pub(crate) use opening::serve_io;
pub(crate) use readiness::Readiness;
pub use request_body::RequestBody;
#[cfg(test)]
pub(crate) use serve::serve;
pub use server_response::RequestSummary;
pub(crate) use shared::Shared;
pub(crate) use tcp::serve_tcp;
use tower_server_info::ConnectInfo;
