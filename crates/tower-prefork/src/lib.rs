//! A multi-process hyper server for any tower service.

mod config;
mod connection;

pub use connection::{Connection, RequestBody};

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
