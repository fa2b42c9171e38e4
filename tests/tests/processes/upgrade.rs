use std::{fs, path::Path};

use tests::{Client, PATIENCE, Process, Running, Signal};

use crate::{field, probe, wait_until, workers_become};

/// A server whose starts do what a file says, and the directory with the file.
fn obedient(arguments: &str) -> (Running, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    say(directory.path(), "go");
    let file = directory.path().join("start").display().to_string();
    let running = probe(&format!("{arguments} --start {file}")).start();
    let _ = running.ready();
    (running, directory)
}

fn say(directory: &Path, what: &str) {
    // Whole from its first moment.
    let draft = directory.join("draft");
    fs::write(&draft, what).unwrap();
    fs::rename(draft, directory.join("start")).unwrap();
}

/// The new supervisor of an upgrade whose workers are starting.
fn successor(running: &Running) -> Process {
    let line = running.wait_for_count("upgrading: ", 1).remove(0);
    Process::open(field(&line, "pid").parse().unwrap()).unwrap()
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
        let (running, directory) = obedient("-w 2");
        let address = running.ready();
        let workers = || {
            running
                .workers()
                .iter()
                .map(Process::pid)
                .collect::<Vec<_>>()
        };
        let before = workers();
        say(directory.path(), problem);
        running.signal(Signal::USR2);
        running.wait_for("the upgrade has failed; this supervisor goes on");
        assert_eq!(workers(), before);
        for _ in 0..10 {
            assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        }
        say(directory.path(), "go");
        running.signal(Signal::HUP);
        running.wait_for(" reloaded ");
    }
}

#[test]
fn a_new_supervisor_that_is_late_is_killed() {
    let (running, directory) = obedient("-w 1 --start-timeout 0.5");
    say(directory.path(), "never");
    running.signal(Signal::USR2);
    // Its own limit comes first.
    running.wait_for("not ready within 0.5 seconds");
    running.wait_for("the upgrade has failed");
    workers_become(&running, 1);
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

#[test]
fn two_upgrades_at_once_are_one_after_the_other() {
    let (mut running, directory) = obedient("-w 1");
    let address = running.ready();
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    running.signal(Signal::USR2);
    running.wait_for("upgrade asked for; it begins when the change that runs is over");
    say(directory.path(), "go");
    running.upgraded(1);
    // The second one was for a supervisor that is gone.
    assert_eq!(running.process().pid(), successor.pid());
    workers_become(&running, 1);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_delayed_stop_in_the_middle_ends_the_new_one_at_once() {
    let (mut running, directory) = obedient("-w 1 --shutdown-delay 1000");
    let address = running.ready();
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    running.signal(Signal::TERM);
    assert!(successor.ends_within(PATIENCE));
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
}

#[test]
fn a_stop_in_the_middle_ends_both() {
    let (mut running, directory) = obedient("-w 2");
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    let workers = successor.children();
    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
    assert!(successor.ends_within(PATIENCE));
    for worker in workers {
        assert!(worker.ends_within(PATIENCE));
    }
}

#[test]
fn the_death_of_the_old_one_in_the_middle_leaves_the_new_one() {
    let (mut running, directory) = obedient("-w 2");
    let address = running.ready();
    let before = running.workers();
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    running.signal(Signal::KILL);
    running.exit();
    for worker in before {
        assert!(worker.ends_within(PATIENCE) || worker.pid() == successor.pid());
    }
    // In the queue, until somebody serves again.
    let mut client = Client::connect(address);
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    say(directory.path(), "go");
    assert_eq!(client.response().unwrap().status, 200);
    wait_until("two workers", || successor.children().len() == 2);
    successor.signal(Signal::TERM);
    assert!(successor.ends_within(PATIENCE));
}

#[test]
fn the_death_of_the_new_one_in_the_middle_leaves_the_old_one() {
    let (running, directory) = obedient("-w 2");
    let address = running.ready();
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    let workers = successor.children();
    successor.signal(Signal::KILL);
    running.wait_for("the new supervisor killed by SIGKILL");
    for worker in workers {
        assert!(worker.ends_within(PATIENCE));
    }
    workers_become(&running, 2);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_reload_in_the_middle_waits_for_the_end() {
    let (running, directory) = obedient("-w 1");
    say(directory.path(), "wait");
    running.signal(Signal::USR2);
    let successor = successor(&running);
    running.wait_for("waiting slot=0");
    running.signal(Signal::HUP);
    running.wait_for("reload asked for; it begins when the change that runs is over");
    successor.signal(Signal::KILL);
    running.wait_for("the upgrade has failed");
    say(directory.path(), "go");
    running.wait_for(" reloaded ");
    assert_eq!(running.client().get("/").unwrap().status, 200);
}
