//! Reloads during continuous load: no request may fail.

use std::path::Path;

use tests::{Address, Load, Signal, stress};

use crate::{probe, workers_become};

/// The number of reloads; a short run without it.
const RELOADS: &str = "STRESS_RELOADS";

/// Milliseconds that a worker takes to build its service.
const BUILD: &str = "STRESS_BUILD_MS";

fn reload_under_load(workers: usize, path: &Path) {
    let reloads = stress(RELOADS, 5);
    let build = stress(BUILD, 200);
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
