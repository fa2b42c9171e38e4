//! One client connection: hyper, its limits and time-outs, and the strict checks above hyper.
//!
//! hyper reads and writes HTTP/1.1. What it lets through or leaves to others is refused or bounded here:
//!
//! | module | what it does |
//! |---|---|
//! | `check`, `host` | requests that RFC 9110 and RFC 9112 forbid are answered with 4xx or 501 before the service is called |
//! | `refusal`, `server_response` | each cause of a response of the server itself; how they are rendered |
//! | `call`, `respond` | calls the service; turns its errors, panics and timeouts into responses |
//! | `request_body`, `response_body` | broken and stalled bodies are never taken for whole ones |
//! | `source` | tells when all of a body is here that the service does not read |
//! | `readiness` | responds to load balancers at the readiness path |
//! | `clock`, `timer` | the deadlines of a connection, on one timer |
//! | `io`, `progress` | how the parts above learn what the socket and the others do |
//! | `drain` | how it hears that the worker is to stop |
//! | `close` | a close that does not destroy the answer, and one that does |
//! | `parked` | an idle connection without hyper and its buffer |
//! | `table` | all connections of the worker: a new one takes the place of one that is idle |
//! | `serve` | drives all of them |
//! | `shared` | what the connections of one worker share |
//! | `tcp`, `handshake` | a TCP connection, which may have to become one with TLS first |
//!
//! `Content-Length` together with `Transfer-Encoding`: hyper takes the length out of the request before anyone
//! sees it, reads the body as chunked, and closes the connection after the answer. So nothing that follows on
//! that connection is ever taken for a request, which is what RFC 9112 section 6.3 asks for.
//!
//! The lines before the chunks of a body, of which hyper lets through what the grammar does not have (`5;`, a NUL in an
//! extension), are looked at as they are read, by `progress::chunk_lines`. Where a body begins is known if its request was not
//! sent behind another one in the same piece, and if head and first piece together have less than 9 KiB; otherwise
//! hyper's rules hold. The framing is hyper's in any case, so that nothing can be smuggled by the difference.
//!
//! A client that shuts down its sending side after a whole request gets its response, after which the connection
//! closes (RFC 9112 section 9.6). It has left when the connection is reset, or when nothing can be written to it. The
//! service learns of the end from the [`ConnectInfo`] in the request's extensions.

mod check;
mod close;
mod deadlines;
mod direct_response;
mod drain;
mod events;
mod exchange;
mod guard;
#[cfg(feature = "tls")]
mod handshake;
mod host;
mod io;
mod load;
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

pub use events::{ConnectionHooks, ConnectionStep};
pub use load::Load;
pub(crate) use readiness::Readiness;
pub use request_body::RequestBody;
pub(crate) use serve::serve;
pub use server_response::RequestSummary;
pub(crate) use shared::Shared;
pub(crate) use tcp::serve_tcp;
pub(crate) use tower_server_info::ConnectInfo;
