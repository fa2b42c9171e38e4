use std::fs;

use tests::{Client, PATIENCE, Process, Running, Signal};

use crate::{field, probe, told::Told, wait_until, workers_become};

/// The new supervisor of an upgrade whose workers are starting.
fn successor(running: &Running) -> Process {
    let line = running.wait_for_count("upgrading: ", 1).remove(0);
    Process::open(field(&line, "pid").parse().unwrap()).unwrap()
}

/// Begins an upgrade whose worker waits for a file.
fn successor_that_waits(told: &Told) -> Process {
    told.tell("wait");
    told.running.signal(Signal::USR2);
    let successor = successor(&told.running);
    told.running.wait_for("waiting slot=0");
    successor
}

#[test]
fn another_supervisor_takes_over_and_the_old_one_ends() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let pid_file = directory.path().join("pid");
    let mut running = probe("-w 2 -b 127.0.0.1:0 --pid-file")
        .arg(&pid_file)
        .arg("-b")
        .arg(format!("unix:{}", socket.display()))
        .start();
    let address = running.ready();
    let pid = || fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    assert_eq!(pid(), running.process().pid().to_string());
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/").unwrap().status, 200);
    for count in 1..=2 {
        let before = running.process().pid();
        let mut slow = Client::connect(address);
        slow.send("GET /sleep/300 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        running.signal(Signal::USR2);
        assert_eq!(slow.response().unwrap().status, 200);
        running.upgraded(count);
        assert_ne!(running.process().pid(), before);
        assert_eq!(pid(), running.process().pid().to_string());
        workers_become(&running, 2);
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        let mut client = Client::connect_unix(&socket).unwrap();
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    running.signal(Signal::TERM);
    assert!(running.process().ends_within(PATIENCE));
    assert!(!socket.exists() && !pid_file.exists());
}

#[test]
fn a_new_supervisor_that_cannot_start_changes_nothing() {
    for problem in ["exit", "error"] {
        let told = Told::start("-w 2");
        let address = told.address;
        let workers = || {
            told.running
                .workers()
                .iter()
                .map(Process::pid)
                .collect::<Vec<_>>()
        };
        let before = workers();
        told.tell(problem);
        told.running.signal(Signal::USR2);
        told.running
            .wait_for("upgrade failed; this supervisor keeps serving");
        assert_eq!(workers(), before);
        for _ in 0..10 {
            assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        }
        told.tell("go");
        told.running.signal(Signal::HUP);
        told.running.wait_for(" reloaded ");
    }
}

#[test]
fn a_new_supervisor_that_is_late_is_killed() {
    let told = Told::start("-w 1 --start-timeout 0.5");
    told.tell("never");
    told.running.signal(Signal::USR2);
    // Its own limit comes first.
    told.running.wait_for("not ready within 0.5 seconds");
    told.running.wait_for("upgrade failed");
    workers_become(&told.running, 1);
    assert_eq!(told.running.client().get("/").unwrap().status, 200);
}

#[test]
fn two_upgrades_at_once_are_one_after_the_other() {
    let mut told = Told::start("-w 1");
    let address = told.address;
    let successor = successor_that_waits(&told);
    told.running.signal(Signal::USR2);
    told.running
        .wait_for("upgrade requested; it begins when the running operation is complete");
    told.tell("go");
    told.running.upgraded(1);
    // The second one was for a supervisor that is gone.
    assert_eq!(told.running.process().pid(), successor.pid());
    workers_become(&told.running, 1);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_delayed_stop_in_the_middle_ends_the_new_one_at_once() {
    let mut told = Told::start("-w 1 --shutdown-delay 1000");
    let address = told.address;
    let successor = successor_that_waits(&told);
    told.running.signal(Signal::TERM);
    assert!(successor.ends_within(PATIENCE));
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    told.running.signal(Signal::TERM);
    assert_eq!(told.running.exit().code(), Some(0));
}

#[test]
fn a_stop_in_the_middle_ends_both() {
    let mut told = Told::start("-w 2");
    let successor = successor_that_waits(&told);
    let workers = successor.children();
    told.running.signal(Signal::TERM);
    assert_eq!(told.running.exit().code(), Some(0));
    assert!(successor.ends_within(PATIENCE));
    for worker in workers {
        assert!(worker.ends_within(PATIENCE));
    }
}

#[test]
fn the_death_of_the_old_one_in_the_middle_leaves_the_new_one() {
    let mut told = Told::start("-w 2");
    let address = told.address;
    let before = told.running.workers();
    let successor = successor_that_waits(&told);
    told.running.signal(Signal::KILL);
    told.running.exit();
    for worker in before {
        assert!(worker.ends_within(PATIENCE) || worker.pid() == successor.pid());
    }
    // In the queue, until a server runs again.
    let mut client = Client::connect(address);
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    told.tell("go");
    assert_eq!(client.response().unwrap().status, 200);
    wait_until("two workers", || successor.children().len() == 2);
    successor.signal(Signal::TERM);
    assert!(successor.ends_within(PATIENCE));
}

#[test]
fn the_death_of_the_new_one_in_the_middle_leaves_the_old_one() {
    let told = Told::start("-w 2");
    let address = told.address;
    let successor = successor_that_waits(&told);
    let workers = successor.children();
    successor.signal(Signal::KILL);
    told.running
        .wait_for("the new supervisor killed by SIGKILL");
    for worker in workers {
        assert!(worker.ends_within(PATIENCE));
    }
    workers_become(&told.running, 2);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_reload_in_the_middle_waits_for_the_end() {
    let told = Told::start("-w 1");
    let successor = successor_that_waits(&told);
    told.running.signal(Signal::HUP);
    told.running
        .wait_for("reload requested; it begins when the running operation is complete");
    successor.signal(Signal::KILL);
    told.running.wait_for("upgrade failed");
    told.tell("go");
    told.running.wait_for(" reloaded ");
    assert_eq!(told.running.client().get("/").unwrap().status, 200);
}
