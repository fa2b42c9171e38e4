//! Layers for web code that blocks.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod body;
#[cfg(feature = "handler")]
pub mod handler;
#[cfg(feature = "lazy")]
pub mod lazy;
#[cfg(feature = "response-middleware")]
pub mod response_middleware;
#[cfg(feature = "wait-for-body")]
pub mod wait_for_body;

#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod budget;
#[cfg(any(feature = "blocking", feature = "lazy", feature = "wait-for-body"))]
mod rejection;
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
mod spool;

pub use self::body::Body;
#[cfg(feature = "wait-for-body")]
pub use self::body::BufferedBody;

/// An error of any kind, as tower spells it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(all(test, feature = "full"))]
mod test_helpers;
