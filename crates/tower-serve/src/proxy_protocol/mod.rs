//! The PROXY protocol, versions 1 and 2: what a proxy that passes bytes on without looking at them says of its client, at the
//! beginning of a connection and before TLS.
//!
//! A connection either begins with this header or it does not: if a server guessed, any client could send one. So with
//! [`HttpServerBuilder::proxy_protocol`](crate::HttpServerBuilder::proxy_protocol) each connection has to begin with one,
//! and has to come from a peer in a list:
//!
//! | the connection | becomes |
//! |---|---|
//! | begins with the address of a client | one whose [`peer`](crate::ConnectInfo::peer) is the client |
//! | begins with `LOCAL`, as the health checks of a proxy do, or with `UNKNOWN` | one of the proxy itself |
//! | comes from another peer | closed |
//! | begins with anything else, or with a header that is too long | closed |
//! | does not send its header in time | closed |
//!
//! What is closed gets no response, as it may not speak HTTP, and is logged, at most once a minute with the number of those
//! that were not. The header has as long as a request head ([`Http::header_timeout`](crate::Http::header_timeout)). One of
//! version 1 has at most 107 bytes, as the protocol says, one of version 2 at most 4 KiB behind its fixed part; the values
//! beside the addresses (TLV) are skipped.
//!
//! [`ProxyHeader`] reads the header of any other connection.

mod header;
mod setting;
mod v1;
mod v2;

pub use header::ProxyHeader;
pub(crate) use setting::ProxyProtocol;
