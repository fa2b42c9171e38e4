//! What trusted proxies say of their clients: `X-Forwarded-For` and its relatives, and `Forwarded` (RFC 7239).
//!
//! A proxy opens a connection of its own, so the address of the connection is the proxy's, and what the client asked for is
//! only known from header fields that the proxy adds. Any client can send such fields, too. So they are honoured from a
//! peer in a list of [`TrustedPeers`] alone; those of any other peer are fields like all others, and change nothing.
//!
//! [`TrustedProxies`] says whom to believe, and which fields. [`HttpServer`](crate::HttpServer) takes it as a setting;
//! [`ForwardedLayer`] does the same for a service on another server. The result is in the request's
//! [`ConnectInfo`](crate::ConnectInfo): the client, the scheme, the host, the prefix. The fields themselves stay in the
//! request.
//!
//! | field | what it says |
//! |---|---|
//! | `X-Forwarded-For` | the client: the address nearest to this server that is not a trusted proxy's. If all are, that of the farthest. At an element that is no address (`unknown`, an obfuscated identifier) the search ends, and the client is the nearest hop that is known |
//! | `X-Forwarded-Proto` | the scheme: `http` or `https`; `ws` and `wss` are the same |
//! | `X-Forwarded-Host` | the host that the client asked for |
//! | `X-Forwarded-Port` | its port |
//! | `X-Forwarded-Prefix` | the path that the proxy has removed from the target |
//! | `Forwarded` | all but the last two, in the element that names the client |
//!
//! Of a list in any field but the first and the last, the last value counts, which the nearest proxy has written. Empty
//! elements are skipped. A value that is not valid is as none.
//!
//! A proxy writes one family and passes on the other as its client has sent it. So one of them is honoured:
//! `X-Forwarded-*`, or `Forwarded`.
//!
//! At most 64 elements are looked at, from the last one on. A host has at most 261 bytes, a prefix at most 1024.

mod element;
mod fields;
mod layer;
mod list;
mod node;
mod peers;
mod proxies;
mod values;

pub use fields::ForwardedFields;
pub use layer::{Forwarded, ForwardedLayer};
pub use peers::TrustedPeers;
pub use proxies::TrustedProxies;
