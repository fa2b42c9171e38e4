//! A multi-process hyper server for any tower service.
//!
//! ```text
//! supervisor                 owns the listeners; none of the application's code runs in it
//!  ├─ worker 0               builds the service, accepts, serves; one event loop and its threads
//!  ├─ worker 1
//!  └─ …
//! ```
//!
//! A worker is the same program, executed again. When one dies, the connections that wait in the listeners' queues go to its
//! siblings, and another one is started. [`Server`] serves one application, and documents what happens at start, reload,
//! stop and failure. [`Supervisor`] runs several servers.
//!
//! ```console
//! $ cargo add tower-prefork --features cli
//! $ cargo add axum
//! ```
//!
//! ```no_run
//! use std::process::ExitCode;
//! use axum::{Router, routing::get};
//! use tower_prefork::{BoxError, Server, Workers};
//!
//! fn main() -> ExitCode {
//!     Server::new("hello")
//!         .bind("127.0.0.1:8000")
//!         .workers(Workers::Count(4))
//!         .service(|_worker| async {
//!             Ok::<_, BoxError>(Router::new().route("/", get(|| async { "hello" })))
//!         })
//!         .run()
//! }
//! ```
//!
//! A service with blocking code runs it on a pool of threads, such as `BlockingPool` of the crate `tower-blocking`. With
//! [`worker.monitor(&pool)`](WorkerContext::monitor) the server finds stuck jobs, and shows the pool in `ctl status`.
//!
//! # WebSocket
//!
//! A service takes hyper's `OnUpgrade` from the request's extensions, as axum's `ws` and `hyper-tungstenite` do. An upgraded
//! connection is one of the worker's `max_connections` until its end, and is never closed for a new one; beyond
//! `max_upgraded`, further requests for an upgrade get 503. Its request ends with the response 101, so it delays neither the
//! replacement of its worker nor a stop: the client of a WebSocket gets close frame 1001 (going away), connects again,
//! and is served by another worker. The service sees the client's reply as any close. Who does not reply, and any connection
//! with another protocol, is cut after `graceful_timeout`. A client that is silent gets a ping after half of
//! `upgrade_idle_timeout`, and is cut after all of it. See the crate `tower-serve` for the details.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `cli` | `cli::Args`: the command line of a server, to flatten into a clap program, and its log; `cli::Ctl`: the command that controls a running server |
//! | `config-file` | `Server::config_file`: settings from a TOML file; part of `cli` |
//! | `layers` | `Config::static_files` and `Config::compress`: tower-http's `ServeDir` and `CompressionLayer` as settings; part of `cli` |
//! | `tls` | `Config::tls`: HTTPS; part of `cli` |
//! | `watch` | `Config::watch`: a reload when a file changes, for development; part of `cli` |
//!
//! # Platform
//!
//! Linux, 5.3 or later.

// A print panics if standard error is closed, and blocks if it is full: see `server_log`.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod control;
mod embedded;
mod error;
mod hooks;
mod listener;
mod operator;
mod phase;
mod prepare;
mod run;
mod server;
mod server_log;
pub mod settings;
mod signals;
mod start;
mod supervisor;
mod system;
#[cfg(feature = "watch")]
mod watch;
mod worker;

pub use config::{Config, ProgramConfig, Workers};
#[cfg(feature = "layers")]
pub use config::{StaticFiles, StaticNotFound};
pub use error::Error;
pub use hooks::{ProcessEvent, ProcessStep, WorkerStep};
pub use phase::Phase;
pub use run::Supervisor;
pub use server::Server;
pub use server_log::LogStream;
pub use tower_serve::{
    AccessLog, AccessLogFormat, BoxError, ClientAddress, ConnectInfo, ConnectionStep,
    ForwardedFields, ForwardedInfo, Http, HttpService, HttpVersions, RequestBody, RequestSummary,
    ServerResponse, TrustedPeers,
};
#[cfg(feature = "tls")]
pub use tower_serve::{ClientAuth, Tls, TlsVersion};
pub use tower_server_info::{PoolMonitor, PoolStats, StuckJob};
pub use worker::WorkerContext;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
