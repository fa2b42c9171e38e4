//! HTTP/2: hyper for its frames, and what hyper leaves to its user.
//!
//! ```text
//! socket ── FrameIo ── Guarded ── hyper ──> StreamService ──> StreamExchange ──> service
//!                                    │                              │
//!                                    └── Spawner ── Streams ── Stream (deadline of the client) ── StreamBody
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `serve` | drives a connection: hyper, its streams, the deadlines, and the way out by GOAWAY |
//! | `io` | the socket as hyper sees it, which the connection gets back at the end |
//! | `guard` | the limits of frames that cost a client nothing, between the socket and hyper |
//! | `streams` | the streams that run, on the task of their connection |
//! | `stream` | one stream, which is reset if the client takes nothing of its response in time |
//! | `exchange` | a request and its response: checked, given to the service, with its deadline |
//! | `check` | requests that RFC 9113 forbids and h2 lets pass |
//! | `tunnel` | a WebSocket on a stream (RFC 8441), as an upgrade of HTTP/1.1 inside the process |
//! | `body` | the response's body: in pieces, and never longer or shorter than announced |
//!
//! The streams of a connection run on its task. So a turn of the event loop that finds several requests, or several responses
//! that have become ready, writes all of them at once; and nothing of a connection is left when its task has ended.
//!
//! Unlike HTTP/1.1, a request that is refused, or a response that fails, ends its stream and not the connection.
//!
//! hyper and h2 refuse by themselves, as stream errors, what is malformed by RFC 9113 section 8: pseudo-header fields that are
//! missing, repeated or misplaced, connection-specific fields, names in capitals, a body that is not as long as announced. A
//! header list beyond [`max_header_size`](crate::Http::max_header_size) gets 431 without a body. What they hide cannot be
//! checked: a fragment in `:path` is removed, and `100 Continue` is never sent, for which clients must not wait indefinitely (RFC
//! 9110 section 10.1.1).

mod body;
mod check;
mod exchange;
mod guard;
mod io;
mod serve;
mod stream;
mod streams;
mod tunnel;

pub(super) use serve::Http2Connection;
