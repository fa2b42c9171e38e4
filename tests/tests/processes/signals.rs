//! Unexpected signals, and orphans.

use std::{fs, process::Command};

use tests::{Client, PATIENCE, Process, Program, Running, Signal, skip};

use crate::{probe, wait_until};

/// What would end a process, and is no verdict of the kernel.
const STRAY: [(u32, &str); 8] = [
    (14, "SIGALRM"),
    (16, "SIGSTKFLT"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
    (37, "SIGRTMIN+3"),
    (64, "SIGRTMIN+30"),
];

/// The types of the tests know no real-time signals.
fn send(process: &Process, signal: u32) {
    let command = format!("kill -{signal} {}", process.pid());
    let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(sent.success(), "{command}");
}

#[test]
fn stray_signals_end_nobody() {
    for workers in [1, 0] {
        let running = probe(&format!("-w {workers}")).start();
        let address = running.ready();
        let mut client = Client::connect(address);
        let pid = client.get("/").unwrap().text();
        let worker = Process::open(pid.parse().unwrap()).unwrap();
        for (signal, name) in STRAY {
            send(running.process(), signal);
            send(&worker, signal);
            let line = format!("unexpected signal ignored signal={name:?}");
            let _ = running.wait_for_count(&line, 1 + workers);
            // The second one tells nothing new.
            send(running.process(), signal);
        }
        assert_eq!(client.get("/").unwrap().text(), pid);
        let log = running.log();
        let said = log.iter().filter(|line| line.contains("SIGALRM"));
        assert_eq!(said.count(), 1 + workers, "{log:?}");
    }
}

#[test]
fn what_a_worker_starts_ignores_no_signal() {
    let running = probe("-w 1").start();
    let masks = running.client().get("/child").unwrap().text();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let mask = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let mask = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
        // But for the two signals that are the C library's own.
        mask & !(0b11 << 31)
    };
    // What this process was started with goes down to all others, but for the signals that the program catches. SIGPIPE is
    // ignored by Rust alone.
    let inherited = mask(&own, "SigIgn:") & !(1 << 12);
    assert_eq!(mask(&masks, "SigIgn:") & !inherited, 0);
    assert_eq!(mask(&masks, "SigBlk:"), 0);
}

/// The zombies among the children of this process.
fn zombies(process: &Process) -> usize {
    let children = process.children();
    let state = |child: &Process| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid()));
        let stat = stat.unwrap_or_default();
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        state == Some('Z')
    };
    children.iter().filter(|child| state(child)).count()
}

fn leaves_no_orphans(running: &Running, supervisor: &Process) {
    let address = running.ready();
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/orphan").unwrap().status, 200);
    }
    wait_until("an end of all orphans", || zombies(supervisor) == 0);

    // Its own children are waited for by those who have started them.
    let pid = Client::connect(address).get("/").unwrap().text();
    // The oldest one: orphans may still come.
    let worker = supervisor.children().remove(0);
    worker.signal(Signal::ILL);
    running.wait_for("cause=\"killed by SIGILL");
    wait_until("another worker", || {
        let mut client = Client::connect(address);
        client
            .get("/")
            .is_ok_and(|response| response.text() != pid || response.status == 200)
    });
    wait_until("the end of the worker", || zombies(supervisor) == 0);
}

#[test]
fn orphans_are_waited_for() {
    let running = probe("-w 1 --subreaper").start();
    let supervisor = Process::open(running.process().pid()).unwrap();
    leaves_no_orphans(&running, &supervisor);
}

#[test]
fn process_1_waits_for_orphans_and_ignores_stray_signals() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can start a process 1");
    }
    let probe = env!("CARGO_BIN_EXE_probe");
    let command = format!("--pid --fork --kill-child --mount-proc {probe} -w 1 -b 127.0.0.1:0");
    let mut running = Program::new("unshare").args(&command).start();
    let _ = running.ready();
    let supervisor = running.process().children().pop().unwrap();
    leaves_no_orphans(&running, &supervisor);
    supervisor.signal(Signal::ALARM);
    running.wait_for("ignored signal=\"SIGALRM\"");
    supervisor.signal(Signal::TERM);
    assert!(supervisor.ends_within(PATIENCE));
    assert_eq!(running.exit().code(), Some(0));
}
