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
#![cfg_attr(docsrs, feature(doc_cfg))]

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
pub use error::Error;
pub use hooks::{ProcessEvent, ProcessStep, WorkerStep};
pub use phase::Phase;
pub use run::Supervisor;
pub use server::Server;
pub use server_log::LogStream;
#[cfg(feature = "tls")]
pub use tower_serve::Tls;
pub use tower_serve::{
    AccessLog, AccessLogFormat, BoxError, ConnectInfo, ConnectionStep, Http, HttpService,
    RequestBody, RequestSummary, ServerResponse,
};
pub use tower_server_info::{PoolMonitor, PoolStats, StuckJob};
pub use worker::WorkerContext;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
