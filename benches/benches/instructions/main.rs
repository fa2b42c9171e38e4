//! Instructions of the hot paths, counted by valgrind's callgrind: the same on every run and at any load of the machine.
//!
//! `cargo xtask bench-check` runs it and compares the counts with `benches/baseline.txt`. Each is the sum of [`CALLS`]
//! calls, after one that is not counted, so that the cost of the first call hardly matters.

mod calls;
mod jobs;
mod layers;
mod python;
mod server;

use std::env;

/// The number of calls of each path.
const CALLS: usize = 100;

/// What gungraun makes of the groups.
mod harness {
    use crate::{layers::in_layers, python::in_python, server::in_server};

    gungraun::main!(library_benchmark_groups = in_layers, in_python, in_server);

    pub(super) fn run() {
        main();
    }
}

fn main() {
    // Cargo sets the first, gungraun the second. gungraun needs a program of its own, a test run does not.
    let counts = |argument: &str| ["--bench", "--gungraun-run"].contains(&argument);
    if env::args().any(|argument| counts(&argument)) {
        harness::run();
    } else {
        println!("Not counted: `cargo xtask bench-check` does.");
    }
}
