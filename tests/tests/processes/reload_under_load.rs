//! Reloads during continuous load: no request may fail.

use std::{env, path::Path};

use tests::{Address, Load, Signal};

use crate::{probe, workers_become};

/// The number of reloads; a short run without it.
const RELOADS: &str = "STRESS_RELOADS";

/// Milliseconds that a worker takes to build its service.
const BUILD: &str = "STRESS_BUILD_MS";

fn number(variable: &str, default: usize) -> usize {
    let number = env::var(variable).map(|text| text.parse().expect("a number"));
    number.unwrap_or(default)
}

fn reload_under_load(workers: usize, path: &Path) {
    let reloads = number(RELOADS, 5);
    let build = number(BUILD, 200);
    let arguments = format!("-w {workers} -b 127.0.0.1:0 --slow-start {build}");
    let running = probe(&arguments)
        .arg("-b")
        .arg(format!("unix:{}", path.display()))
        .start();
    let addresses = [Address::Tcp(running.ready()), Address::Unix(path.into())];
    let load = Load::start(18, &addresses);
    for count in 1..=reloads {
        running.signal(Signal::HUP);
        let _ = running.wait_for_count(" reloaded ", count);
    }
    workers_become(&running, workers);
    let seen = load.stop();

    let pids = seen.pids.len();
    println!(
        "{workers} workers, {reloads} reloads: {} answers of {pids} workers, {} of them \
         the last of a connection, the longest after {:?}",
        seen.answers, seen.last, seen.longest
    );
    seen.assert_nothing_failed();
    assert!(seen.last > 0, "connections were held open over the reloads");
    assert!(pids > reloads, "{pids} workers have answered");
    let log = running.log().join("\n");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn reloads_under_load_lose_no_request() {
    let directory = tempfile::tempdir().unwrap();
    for workers in [1, 2] {
        reload_under_load(workers, &directory.path().join("socket"));
    }
}
