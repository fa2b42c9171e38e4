//! What the tests share: programs to start and to watch, a client that sends raw bytes, and
//! many clients at once.
//!
//! Waits are for a thing, never for a time, and bounded by [`PATIENCE`]. Everything that a test
//! starts ends with it.

mod build;
mod certificate;
mod client;
mod installed;
mod load;
mod port;
mod process;
mod program;
mod skip;
mod stress;
mod wait;

use std::time::Duration;

pub use build::program;
pub use certificate::Certificate;
pub use client::{Client, Response};
pub use installed::installed;
pub use load::{Address, Load, Seen};
pub use port::Port;
pub use process::Process;
pub use program::{Program, Running};
pub use rustix::process::Signal;
pub use skip::skip;
pub use stress::stress;
pub use wait::wait_until;

/// The longest wait for anything that must happen, however slow the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The examples of the README, which need both libraries.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
