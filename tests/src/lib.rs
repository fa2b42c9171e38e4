//! What the tests share: programs to start and to observe, a client that sends raw bytes, and a load of many clients.
//!
//! A wait is for a condition, never for a time, and is bounded by [`PATIENCE`]. Everything that a test starts ends with it.

mod certificate;
mod client;
mod environment;
mod executables;
pub mod http2;
mod load;
mod openssl;
mod process;
mod program;
mod websocket;

use std::time::Duration;

pub use certificate::{Authority, Certificate};
pub use client::{Client, Response};
pub use environment::{Port, skip, stress, wait_until};
pub use executables::{installed, program};
pub use load::{Address, Load, Seen};
pub use openssl::SClient;
pub use process::Process;
pub use program::{Program, Running};
pub use rustix::process::Signal;
pub use websocket::WebSocketClient;

/// The longest wait for anything that must happen, however slow the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The examples of the README, which need both libraries.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
