//! `cargo xtask bench`: the micro-benchmarks.

use crate::command::{Failure, cargo, run as run_command};

pub(crate) fn run() -> Result<(), Failure> {
    run_command(cargo("bench --package benches --benches"))
}
