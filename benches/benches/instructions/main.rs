//! Instructions of the hot paths, counted by valgrind's callgrind: the same on every run, however busy the machine is.
//!
//! `cargo xtask bench-check` runs it and compares the counts with `benches/baseline.txt`. Each is that of [`CALLS`]
//! calls, after one that is not counted: what happens once weighs little.

mod calls;
mod jobs;
mod layers;
mod python;
mod server;

use std::env;

/// How often each path is walked.
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
    // Cargo says the first, gungraun the second. It needs a program of its own, which a test does not.
    let counts = |argument: &str| ["--bench", "--gungraun-run"].contains(&argument);
    if env::args().any(|argument| counts(&argument)) {
        harness::run();
    } else {
        println!("Not counted: `cargo xtask bench-check` does.");
    }
}
