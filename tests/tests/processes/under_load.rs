//! What is done to a server during continuous load, over TCP and over a Unix socket. In CI in a short form;
//! see `CONTRIBUTING.md` for the long one.

use std::{
    fs,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::{
    Address, Client, Load, Process, Running, Seen, Signal, http2::Http2Load, stress, wait_until,
};

use crate::{probe, workers_become};

/// The number of reloads and of upgrades.
const RELOADS: &str = "STRESS_RELOADS";
const UPGRADES: &str = "STRESS_UPGRADES";

/// Milliseconds that a worker takes to build its service.
const BUILD: &str = "STRESS_BUILD_MS";

/// Seconds of the tests that run for a time.
const SECONDS: &str = "STRESS_SECONDS";

/// One: no response may come this much later than without the change.
const LATENCY: &str = "STRESS_LATENCY";
const LATER: Duration = Duration::from_millis(200);

/// Streams on each connection of HTTP/2.
const STREAMS: usize = 5;

/// A server on both kinds of address, and the load on it.
struct Loaded {
    running: Running,
    load: Load,
    http2: Http2Load,
    /// The longest wait for a response while nothing was done to the server.
    usual: Duration,
    workers: usize,
    /// Of the socket: a worker of the server before may still listen at its own.
    _directory: TempDir,
}

impl Loaded {
    fn start(workers: usize, options: &str) -> Self {
        let build = stress(BUILD, 200);
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let arguments = format!("-w {workers} -b 127.0.0.1:0 --slow-start {build} {options}");
        let running = probe(&arguments)
            .arg("-b")
            .arg(format!("unix:{}", socket.display()))
            .start();
        let addresses = [Address::Tcp(running.ready()), Address::Unix(socket)];
        let usual = if stress(LATENCY, 0) == 0 {
            Duration::ZERO
        } else {
            let load = Load::start(18, &addresses);
            let started = Instant::now();
            wait_until("a quiet time", || {
                started.elapsed() > Duration::from_secs(5)
            });
            load.stop().longest
        };
        Self {
            load: Load::start(18, &addresses),
            http2: Http2Load::start(4, STREAMS, &addresses),
            running,
            usual,
            workers,
            _directory: directory,
        }
    }

    /// Ends the load. Nothing may have failed.
    fn end(self, what: &str) -> (Running, Seen) {
        workers_become(&self.running, self.workers);
        let (http2, seen) = (self.http2.stop(), self.load.stop());
        println!(
            "HTTP/2: {} responses of {} workers on connections of which {} were ended, and {} requests were not begun",
            http2.responses,
            http2.pids.len(),
            http2.last,
            http2.not_begun,
        );
        http2.assert_nothing_failed();
        assert!(http2.last > 0, "connections of HTTP/2 are held open");
        println!(
            "{} workers, {what}: {} responses of {} workers, {} of them the last of a connection, \
             the longest after {:?}, and after {:?} before",
            self.workers,
            seen.responses,
            seen.pids.len(),
            seen.last,
            seen.longest,
            self.usual
        );
        seen.assert_nothing_failed();
        if stress(LATENCY, 0) != 0 {
            assert!(seen.longest < self.usual + LATER, "a response came late");
        }
        let log = self.running.log().join("\n");
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
        (self.running, seen)
    }
}

/// The numbers of workers that are worth a test of their own: in the long form, more of them.
fn fleets() -> &'static [usize] {
    if stress(BUILD, 0) == 0 {
        &[1, 2]
    } else {
        &[2, 4]
    }
}

#[test]
fn reloads_lose_no_request() {
    let reloads = stress(RELOADS, 5);
    for &workers in fleets() {
        let loaded = Loaded::start(workers, "");
        for count in 1..=reloads {
            loaded.running.signal(Signal::HUP);
            let _ = loaded.running.wait_for_count(" reloaded ", count);
        }
        let (_, seen) = loaded.end(&format!("{reloads} reloads"));
        assert!(seen.last > 0, "connections were held open over the reloads");
        assert!(seen.pids.len() > reloads, "{} workers", seen.pids.len());
    }
}

#[test]
fn upgrades_lose_no_request() {
    let upgrades = stress(UPGRADES, 3);
    for &workers in fleets() {
        let mut loaded = Loaded::start(workers, "");
        for count in 1..=upgrades {
            loaded.running.signal(Signal::USR2);
            loaded.running.upgraded(count);
        }
        let (_, seen) = loaded.end(&format!("{upgrades} upgrades"));
        assert!(seen.pids.len() > upgrades, "{} workers", seen.pids.len());
    }
}

#[test]
fn workers_that_are_worn_out_lose_no_request() {
    let time = Duration::from_secs(stress(SECONDS, 2) as u64);
    for &workers in fleets() {
        for (setting, value) in [("max_requests", 200), ("max_lifetime", 1)] {
            let options = format!("--{} {value}", setting.replace('_', "-"));
            let loaded = Loaded::start(workers, &options);
            let started = Instant::now();
            let reason = format!("reason=\"{setting}: ");
            let _ = loaded.running.wait_for_count(&reason, workers);
            wait_until("the end of the time", || started.elapsed() >= time);
            // Load and replacements continue: only responses count.
            let (http2, seen) = (loaded.http2.stop(), loaded.load.stop());
            http2.assert_nothing_failed();
            let (responses, pids) = (seen.responses, seen.pids.len());
            println!(
                "{workers} workers, {setting} {value}: {responses} responses of {pids} workers"
            );
            seen.assert_nothing_failed();
            assert!(pids > workers, "{pids} workers");
        }
    }
}

#[test]
fn only_what_a_killed_worker_ran_fails() {
    let directory = tempfile::tempdir().unwrap();
    let seconds = stress(SECONDS, 3);
    // Without a start that takes its time: every worker is to be there to be killed.
    let socket = directory.path().join("socket");
    let running = probe("-w 2 -b 127.0.0.1:0")
        .arg("-b")
        .arg(format!("unix:{}", socket.display()))
        .start();
    let address = running.ready();
    let addresses = [Address::Tcp(address), Address::Unix(socket)];
    let clients = 18;
    let load = Load::start(clients, &addresses);
    let files = || {
        let files = format!("/proc/{}/fd", running.process().pid());
        fs::read_dir(files).unwrap().count()
    };
    let memory = || resident(running.process());
    let (files_before, mut memory_before) = (files(), memory());
    let kills = (seconds * 1000).div_ceil(300).max(6);
    let mut next = Instant::now();
    for kill in 1..=kills {
        wait_until("the time of the next kill", || Instant::now() >= next);
        next = Instant::now() + Duration::from_millis(300);
        wait_until("a worker that serves is killed", || {
            let response = Client::try_connect(address).and_then(|mut client| client.get("/"));
            let Ok(pid) = response.map(|response| response.text()) else {
                return false;
            };
            let workers = running.workers();
            let victim = workers.iter().find(|one| one.pid().to_string() == pid);
            victim.inspect(|one| one.signal(Signal::KILL)).is_some()
        });
        let _ = running.wait_for_count("killed by SIGKILL", kill);
        if kill == kills / 3 {
            memory_before = memory();
        }
    }
    workers_become(&running, 2);
    wait_until("as many files as before", || files() == files_before);
    let grown = memory().saturating_sub(memory_before);
    let seen = load.stop();
    let failures = seen.failures.len();
    println!(
        "{kills} kills: {} responses, {failures} failures; grown by {grown} bytes",
        seen.responses
    );
    for failure in &seen.failures {
        let refused = failure.contains("ConnectionRefused");
        assert!(!refused, "nobody listened: {failure}");
    }
    assert!(
        failures <= kills * clients,
        "more than what ran: {failures}"
    );
    assert!(grown < 2 << 20, "the supervisor has grown by {grown} bytes");
    let zombies = running
        .workers()
        .iter()
        .filter(|one| is_zombie(one))
        .count();
    assert_eq!(zombies, 0);
}

/// Bytes of memory that are resident.
fn resident(process: &Process) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/statm", process.pid())).unwrap();
    let pages: usize = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn is_zombie(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    state == Some("Z")
}
