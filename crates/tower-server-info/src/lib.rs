//! Plain types that an HTTP server and the tower services that it serves share.
//!
//! A server puts [`ConnectInfo`] into the extensions of each request, and a service or layer
//! looks for it there. One that finds nothing is behind a server that does not set it, and works as usual. The other
//! way, a service gives the server a [`PoolMonitor`] for each pool of threads that it uses. Both respond in place of the
//! service by a [`ServerResponse`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod client_input;
mod connect_info;
mod forwarded;
mod pool;
mod server_response;
mod tls;

pub use client_input::ClientInput;
pub use connect_info::ConnectInfo;
pub use forwarded::{ClientAddress, ForwardedInfo};
pub use pool::{PoolMonitor, PoolStats, StuckJob};
pub use server_response::ServerResponse;
pub use tls::{ClientCertificate, TlsInfo};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
