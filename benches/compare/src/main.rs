//! Compares whole servers: ours and their alternatives.
//!
//! `cargo xtask compare` installs them and runs this. The servers of a case all stay up, and the load goes to them in
//! turns, in short rounds: the speed of a machine drifts, and measurements close in time drift together.

mod case;
mod check;
mod client;
mod cores;
mod curl;
mod files;
mod h2load;
mod load;
mod measure;
mod places;
mod program;
mod record;
mod report;
mod rounds;
mod rows;
mod server;
mod stats;
mod target;
mod websocket;

use std::{fmt, process::ExitCode};

use clap::Parser as _;

/// Why the comparison ended, or a server does not count, as one sentence.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    match rounds::run(&rounds::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
