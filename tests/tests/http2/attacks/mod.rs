//! Attacks on one worker, with a client beside them that keeps the rules and gets its responses. In CI in a short form; see
//! `CONTRIBUTING.md` for the long one.

mod attacker;
mod bystander;
mod kinds;

use std::{fs, time::Duration};

use tests::{Running, stress, wait_until};

use self::{attacker::Attacker, bystander::Bystander, kinds::Attack};
use crate::probe;

/// Milliseconds of each attack.
const MILLISECONDS: &str = "STRESS_ATTACK_MS";

/// One: the bystander's responses may come only a little later than without the attack.
const LATENCY: &str = "STRESS_LATENCY";

/// What a worker may hold because of an attack, beyond what it holds without: `docs/operations.md` names it.
const MEMORY: usize = 32 << 20;

/// What the server does with the attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It closes the connection.
    Closed,
    /// It leaves the connection open: the attack costs the attacker more than the server.
    Open,
}

/// The bytes of memory of the worker.
fn memory(running: &Running) -> usize {
    let workers = running.workers();
    let [worker] = &workers[..] else {
        panic!("one worker, not {}", workers.len());
    };
    let status = fs::read_to_string(format!("/proc/{}/statm", worker.pid())).unwrap();
    let pages: usize = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn check(attack: &Attack) {
    let time = Duration::from_millis(stress(MILLISECONDS, 500) as u64);
    let running = probe("--body-timeout 60").start();
    let address = running.ready();

    let quiet = Bystander::start(address);
    quiet.wait_for(20, time / 2);
    let quiet = quiet.stop();
    let before = memory(&running);
    let worker = running.workers()[0].pid();

    let bystander = Bystander::start(address);
    let attacker = Attacker::start(address, attack);
    let mut most = before;
    bystander.wait_for_each(20, time, || most = most.max(memory(&running)));
    if attack.end == End::Closed {
        wait_until("the end of the attacker's connection", || {
            attacker.ends() > 0
        });
    }
    let during = bystander.stop();
    let report = attacker.stop();
    let grown = most.saturating_sub(before);
    println!(
        "{}: {report}; p99 {:?}, longest {:?} of {} responses, quiet {:?}; memory +{} KiB",
        attack.name,
        during.percentile(99),
        during.percentile(100),
        during.responses(),
        quiet.percentile(99),
        grown >> 10,
    );
    during.assert_nothing_failed();
    assert!(grown < MEMORY, "{}: {grown} bytes", attack.name);
    assert_eq!(
        running.workers()[0].pid(),
        worker,
        "the worker was replaced"
    );
    let log = running.log().join("\n");
    assert!(!log.contains("panic"), "{log}");
    if attack.end == End::Open {
        assert_eq!(report.ends, 0, "{}: {report}", attack.name);
    }
    if stress(LATENCY, 0) != 0 {
        let limit = (quiet.percentile(99) * 3).max(Duration::from_millis(100));
        assert!(during.percentile(99) < limit, "{} came late", attack.name);
    }
}

macro_rules! attacks {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(&kinds::$name(stringify!($name)));
            }
        )*
    };
}

attacks! {
    rapid_reset
    reset_by_bad_frames
    refused_streams
    continuations
    pings
    settings
    window_updates
    unknown_frames
    no_window
    a_window_of_one
    empty_data
    priorities
    compression_bombs
    lists_beyond_the_limit
    slow_bodies
    no_reader
}
