//! One HTTP connection, served well, from any IO.
//!
//! hyper reads and writes HTTP/1.1. This crate adds what hyper leaves to its user: the strict checks of requests,
//! deadlines, a close that does not destroy the last response, an access log, TLS, and a graceful drain. It runs no
//! processes and opens no sockets; the crate `tower-prefork` does.
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
mod http;
#[doc(hidden)]
pub mod internal;
mod log_writer;
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
pub use http::Http;
pub use server::{HttpServer, HttpServerBuilder};
pub use setting::InvalidSetting;
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use tower_server_info::{ConnectInfo, ServerResponse};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
