//! A multi-process hyper server for any tower service.
//!
//! ```text
//! supervisor                 owns the listeners; none of the application's code runs in it
//!  ├─ worker 0               builds the service, accepts, serves; one event loop and its threads
//!  ├─ worker 1
//!  └─ …
//! ```
//!
//! A worker is the same program started again. When one dies, its waiting connections go to its
//! siblings, and another takes its place. [`Server`] tells how to use it, and what happens at
//! start, stop and failure; [`Supervisor`] runs several servers under one supervisor.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `cli` | `cli::Args`: the command line of a server, to flatten into a clap program, and its log; `cli::Ctl`: the command that talks to it while it runs |
//! | `config-file` | `Server::config_file`: settings from a TOML file; part of `cli` |
//! | `tls` | `Config::tls`: HTTPS; part of `cli` |
//! | `watch` | `Config::watch`: a reload whenever a file changes, for development; part of `cli` |
//!
//! # Platform
//!
//! Linux, 5.3 or later.

// A print panics when standard error is gone, and waits when it is full: see `server_log`.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

mod access_log;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod connection;
mod control;
mod embedded;
mod error;
#[cfg(any(feature = "config-file", feature = "tls"))]
mod file;
mod hooks;
mod http_service;
mod listener;
mod log_writer;
mod operator;
mod phase;
mod run;
mod server;
mod server_log;
mod signal_name;
mod signals;
mod start;
mod stop_request;
mod stray_signals;
mod supervisor;
mod system;
mod threads;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "watch")]
mod watch;
mod worker;

pub use access_log::{AccessLog, AccessLogFormat};
pub use config::{Config, Http, Workers};
pub use connection::{ConnectInfo, RequestBody};
pub use error::BoxError;
pub use hooks::{ConnectionStep, ProcessEvent, ProcessStep, WorkerStep};
pub use http_service::HttpService;
pub use phase::Phase;
pub use run::Supervisor;
pub use server::Server;
pub use server_log::LogStream;
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use tower_server_info::{PoolMonitor, PoolStats, StuckJob};
pub use worker::WorkerContext;
