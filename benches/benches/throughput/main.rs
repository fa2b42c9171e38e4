//! Throughput over loopback: whole servers side by side, in alternating rounds of one run.
//!
//! ```text
//! cargo bench -p benches --bench throughput              # all comparisons, about three minutes
//! cargo bench -p benches --bench throughput -- prefork   # those with "prefork" in their names
//! cargo bench -p benches --bench throughput -- --test    # one short round: does everything answer?
//! ```
//!
//! The server is a process of its own on the first core, the load on the second, with 64 connections.
//! The load is `wrk` where it is installed (the Debian package of this name), a small client of our own
//! otherwise. Only numbers of one run can be compared.
//!
//! The ratio is that of the requests a second; "by CPU" is that of the requests for each second of the
//! server's processor time. Compare the latter where the load is the limit, above some 130 000 requests
//! a second, and on a machine that has other work to do.

mod compare;
mod load;
mod server;
mod serving;

use std::{env, io, process::ExitCode};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{
    compare::{Plan, compare},
    serving::Case,
};

/// What one process of the benchmark can end with.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Each case, and what it is compared with.
const COMPARISONS: [(Case, Case); 6] = [
    (Case::Handler, Case::BareHyper),
    (Case::HandlerWithMiddleware, Case::BareHyper),
    (Case::Prefork, Case::BareHyper),
    (Case::BlockingLayer(1), Case::SpawnBlocking(1)),
    (Case::BlockingLayer(4), Case::SpawnBlocking(4)),
    (Case::BlockingLayer(10), Case::SpawnBlocking(10)),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--serve", case] => pin(0).and_then(|()| serving::run(case)),
        ["--load", address, millis, connections] => {
            pin(1).and_then(|()| load::run(address, millis, connections))
        }
        ["--wrk", address, seconds, connections] => {
            pin(1).and_then(|()| load::run_wrk(address, seconds, connections))
        }
        _ => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Error> {
    // `cargo bench` says `--bench`; without it this is a test that everything works.
    let test = arguments.contains(&"--test") || !arguments.contains(&"--bench");
    let plan = if test { Plan::test() } else { Plan::full() };
    let filters = || arguments.iter().filter(|it| !it.starts_with('-'));

    println!("{plan}\n");
    println!(
        "| case | req/s | CPU µs/req | against | req/s | CPU µs/req | ratio | spread | by CPU | spread |"
    );
    println!("| --- | ---: | ---: | --- | ---: | ---: | ---: | --- | ---: | --- |");
    for (case, base) in COMPARISONS {
        let chosen = |filter: &&str| case.to_string().contains(filter);
        if filters().next().is_none() || filters().any(chosen) {
            let comparison = compare(case, base, &plan);
            println!(
                "{}",
                comparison.map_err(|error| format!("{case}: {error}"))?
            );
        }
    }
    Ok(())
}

/// Keeps this process on the n-th of the cores that it may use, if there are so many.
fn pin(n: usize) -> Result<(), Error> {
    let allowed = sched_getaffinity(None).map_err(io::Error::from)?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    if let Some(core) = allowed.nth(n) {
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only).map_err(io::Error::from)?;
    }
    Ok(())
}
