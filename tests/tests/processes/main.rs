//! The processes of a server: how they start, share work, die and stop.

mod access_log;
mod addresses;
mod cli;
mod death;
mod out_of_memory;
mod reload;
mod reload_under_load;
mod spread;
mod start;
mod stop;
mod watch;

use std::{thread, time::Instant};

use tests::{PATIENCE, Program, Running};

/// A server that misbehaves on request, on a free port unless told otherwise.
fn probe(arguments: &str) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_probe")).args(arguments);
    if arguments.contains("-b ") {
        program
    } else {
        program.args("-b 127.0.0.1:0")
    }
}

/// A value of a log line.
fn field(line: &str, name: &str) -> String {
    let start = format!("{name}=");
    let word = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&start));
    word.unwrap_or_else(|| panic!("no {name} in {line}"))
        .to_owned()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not happen");
        thread::yield_now();
    }
}

fn workers_become(running: &Running, count: usize) {
    wait_until("the right number of workers", || {
        running.workers().len() == count
    });
}
