use std::{fs, os::unix::net::UnixDatagram, path::Path};

use tempfile::TempDir;
use tests::{PATIENCE, Process, Program, Signal};

use crate::probe;

/// What the server tells, as systemd hears it.
struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, directory }
    }

    fn start(&self, program: Program) -> Program {
        program.env("NOTIFY_SOCKET", self.directory.path().join("notify"))
    }

    fn hear(&self) -> String {
        let mut message = [0; 1000];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message but for those that say that the program is well.
    fn next(&self) -> String {
        loop {
            let message = self.hear();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }
}

fn environment(pid: i32) -> String {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap()
}

#[test]
fn the_service_manager_hears_what_the_server_does() {
    for workers in [2, 0] {
        let manager = Manager::new();
        let arguments = format!("-w {workers} --shutdown-delay 0.1");
        let mut running = manager.start(probe(&arguments)).start();
        assert_eq!(manager.next(), "READY=1\nSTATUS=ready");
        running.wait_for(" ready ");
        for worker in running.workers() {
            assert!(!environment(worker.pid()).contains("NOTIFY_SOCKET"));
        }
        if workers > 0 {
            running.signal(Signal::HUP);
            let reloading = manager.next();
            let (begin, rest) = reloading.split_once("MONOTONIC_USEC=").unwrap();
            assert_eq!(begin, "RELOADING=1\n");
            let (micros, end) = rest.split_once('\n').unwrap();
            assert!(micros.parse::<u64>().is_ok() && end == "STATUS=reloading");
            assert_eq!(manager.next(), "READY=1\nSTATUS=ready");
            running.wait_for(" reloaded ");
        }
        running.signal(Signal::TERM);
        assert!(manager.next().starts_with("STOPPING=1\n"));
        assert!(manager.next().starts_with("STOPPING=1\n"));
        assert_eq!(running.exit().code(), Some(0));
    }
}

#[test]
fn the_service_manager_hears_that_the_server_is_well() {
    for workers in [1, 0] {
        let manager = Manager::new();
        let program = manager.start(probe(&format!("-w {workers}")));
        let running = program.env("WATCHDOG_USEC", "200000").start();
        let _ = running.ready();
        for _ in 0..3 {
            while manager.hear() != "WATCHDOG=1" {}
        }

        // The variable names another process.
        let manager = Manager::new();
        let program = manager.start(probe(&format!("-w {workers}")));
        let program = program
            .env("WATCHDOG_USEC", "1000")
            .env("WATCHDOG_PID", "1");
        let mut running = program.start();
        assert!(manager.hear().starts_with("READY=1\n"));
        running.signal(Signal::TERM);
        assert!(manager.hear().starts_with("STOPPING=1\n"));
        assert_eq!(running.exit().code(), Some(0));
    }
}

#[test]
fn an_upgrade_makes_another_process_the_main_one_and_stops_nothing() {
    let manager = Manager::new();
    let program = manager.start(probe("-w 1"));
    let mut running = program.env("WATCHDOG_USEC", "200000").start();
    assert!(manager.next().starts_with("READY=1\n"));
    running.signal(Signal::USR2);
    let main = manager.next();
    let pid = main.strip_prefix("MAINPID=").unwrap();
    let new = Process::open(pid.parse().unwrap()).unwrap();
    assert!(manager.next().starts_with("READY=1\n"));
    assert_eq!(running.exit().code(), Some(0));
    // The old one said nothing of its end, and the new one is heard.
    while manager.socket.set_nonblocking(true).is_ok() {
        let mut message = [0; 100];
        match manager.socket.recv(&mut message) {
            Ok(length) => assert_eq!(&message[..length], b"WATCHDOG=1"),
            Err(_) => break,
        }
    }
    manager.socket.set_nonblocking(false).unwrap();
    assert_eq!(manager.hear(), "WATCHDOG=1");
    new.signal(Signal::TERM);
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert!(new.ends_within(PATIENCE));
}
