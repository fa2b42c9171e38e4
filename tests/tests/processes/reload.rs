//! Workers that are replaced while they serve.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::{Duration, Instant},
};

use tests::{Client, Process, Program, Running, Signal};

use crate::{field, probe, told::Told, wait_until, workers_become};

fn send(address: SocketAddr, path: &str) -> Client {
    let mut client = Client::connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    client.send(request).unwrap();
    client
}

fn pids(running: &Running) -> Vec<i32> {
    running.workers().iter().map(Process::pid).collect()
}

#[test]
fn all_workers_are_replaced_one_after_another() {
    let running = probe("-w 3").start();
    let _ = running.ready();
    let before = running.workers();
    assert_eq!(before.len(), 3);
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    for worker in &before {
        assert!(worker.ends_within(tests::PATIENCE));
    }
    workers_become(&running, 3);
    let ends = running.wait_for_count("retired worker ended", 3);
    assert!(
        ends.iter().all(|line| line.contains("exited with code 0")),
        "{ends:?}"
    );
    let replaced = running.wait_for_count("worker replaced", 3);
    for (slot, line) in replaced.iter().enumerate() {
        assert_eq!(field(line, "slot"), slot.to_string());
        assert_eq!(field(line, "retired"), before[slot].pid().to_string());
    }
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

#[test]
fn the_old_worker_serves_until_the_new_one_is_ready() {
    let told = Told::start("-w 1");
    let old = told.get("/");
    told.tell("wait");
    told.reload();
    let new = told.waiting(0).pid().to_string();
    for _ in 0..10 {
        assert_eq!(told.get("/"), old);
    }
    told.tell("");
    told.running.wait_for("reloaded");
    // Either may take a connection until the old one has heard of it.
    wait_until("the new worker's response", || told.get("/") == new);
}

#[test]
fn requests_and_idle_connections_of_a_retired_worker_get_their_responses() {
    let running = probe("-w 1").start();
    let address = running.ready();
    let old = running.workers().remove(0);
    let mut idle = Client::connect(address);
    idle.get("/").unwrap();
    let mut slow = send(address, "/sleep/1000");
    let mut other = Client::connect(address);
    other.get("/").unwrap();
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    // One more request of a connection that was idle gets a response, which says that it is the last.
    wait_until(
        "the last response, when the old worker has heard of it",
        || {
            let response = idle.get("/").unwrap();
            assert_eq!(response.text(), old.pid().to_string());
            response.header("connection") == Some("close")
        },
    );
    assert_eq!(slow.response().unwrap().text(), old.pid().to_string());
    assert_ne!(
        running.client().get("/").unwrap().text(),
        old.pid().to_string()
    );
    // The third says no more; it is closed before the deadline, and not reset.
    assert_eq!(other.rest().unwrap(), b"");
    assert!(old.ends_within(tests::PATIENCE));
    let log = running.log().join("\n");
    assert!(!log.contains("cut"), "{log}");
}

#[test]
fn a_replacement_that_fails_leaves_the_old_worker() {
    for (what, cause) in [
        ("exit", "exited with code 7"),
        ("error", "no database (exited with code 1)"),
        ("never", "not ready within 1 seconds (killed by SIGKILL)"),
    ] {
        let told = Told::start("-w 2 --start-timeout 1");
        let before = pids(&told.running);
        told.tell(what);
        told.reload();
        let lines = told.running.wait_for_count("reload failed", 1);
        assert!(lines[0].contains(cause), "{}", lines[0]);
        assert!(lines[0].contains("ERROR"), "{}", lines[0]);
        assert_eq!(field(&lines[0], "slot"), "0", "it stops at the first");
        workers_become(&told.running, 2);
        assert_eq!(pids(&told.running), before);
        assert!(before.contains(&told.get("/").parse().unwrap()));

        // A failure is no reason not to try again.
        told.tell("1 exit");
        told.reload();
        let lines = told.running.wait_for_count("reload failed", 2);
        assert_eq!(field(&lines[1], "slot"), "1");
        assert_eq!(field(&lines[1], "replaced"), "1");
        told.tell("");
        told.reload();
        told.running.wait_for("reloaded");
        let log = told.running.log().join("\n");
        assert!(!log.contains("worker died"), "{log}");
    }
}

#[test]
fn a_reload_during_the_start_follows_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start");
    fs::write(&file, "1 wait").unwrap();
    let program = probe("-w 2").arg("--start").arg(&file);
    let running = program.start();
    running.wait_for("waiting_pid=");
    let before = running.workers();
    running.signal(Signal::HUP);
    running.wait_for("it begins when the server is ready");
    running.signal(Signal::HUP);
    fs::write(&file, "").unwrap();
    running.wait_for(" ready ");
    running.wait_for("reloaded");
    for worker in before {
        assert!(worker.ends_within(tests::PATIENCE));
    }
    workers_become(&running, 2);
}

#[test]
fn reloads_asked_for_during_a_reload_are_one_more() {
    let told = Told::start("-w 2");
    told.tell("0 wait");
    told.reload();
    let _ = told.waiting(0);
    for count in 1..=3 {
        told.reload();
        // Signals that come at once are one to the kernel, too.
        let text = "it begins when the running operation is complete";
        let _ = told.running.wait_for_count(text, count);
    }
    told.tell("");
    let _ = told.running.wait_for_count(" reloaded ", 2);
    workers_become(&told.running, 2);
    // Were there a third, it would have begun before a later one.
    told.reload();
    let _ = told.running.wait_for_count(" reloaded ", 3);
    let reloads = told.running.wait_for_count("reloading", 3);
    assert_eq!(reloads.len(), 3);
}

#[test]
fn a_stop_during_a_reload_wins() {
    for (signal, status) in [(Signal::TERM, 200), (Signal::QUIT, 0)] {
        let mut told = Told::start("-w 2");
        // The first is replaced, and its old worker has a request left; the second is about to be.
        told.tell("1 wait");
        let slow = (0..8).map(|_| send(told.address, "/sleep/1000"));
        let slow: Vec<_> = slow.collect();
        wait_until("all are served", || told.get("/name") == "probe");
        told.reload();
        let _ = told.waiting(0);
        let workers = told.running.workers();
        told.running.signal(signal);
        assert_eq!(told.running.exit().code(), Some(0));
        for mut client in slow {
            let response = client.response().map(|response| response.status);
            assert_eq!(response.unwrap_or(0), status);
        }
        for worker in workers {
            assert!(worker.ends_within(Duration::ZERO), "none is left");
        }
    }
}

#[test]
fn a_stop_hurries_retired_workers() {
    let mut running = probe("-w 1 --graceful-timeout 100").start();
    let mut idle = running.client();
    idle.get("/").unwrap();
    let mut other = running.client();
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    wait_until("the old worker has heard of it", || {
        let response = other.get("/").unwrap();
        response.header("connection") == Some("close")
    });
    let start = Instant::now();
    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn an_old_worker_that_dies_during_its_replacement() {
    let told = Told::start("-w 1");
    let old = told.running.workers().remove(0);
    told.tell("wait");
    told.reload();
    let new = told.waiting(0);
    old.signal(Signal::KILL);
    told.running.wait_for("worker died");
    assert_eq!(pids(&told.running), [new.pid()], "the next one is there");
    told.tell("");
    told.running.wait_for("reloaded");
    assert_eq!(told.get("/"), new.pid().to_string());
}

#[test]
fn both_die_during_a_reload() {
    let told = Told::start("-w 1");
    let old = told.running.workers().remove(0);
    told.tell("wait");
    told.reload();
    let new = told.waiting(0);
    old.signal(Signal::KILL);
    told.running.wait_for("worker died");
    new.signal(Signal::KILL);
    told.running.wait_for("reload failed");
    told.tell("");
    let _ = told.running.wait_for_count("worker replaced", 1);
    workers_become(&told.running, 1);
    assert_eq!(told.get("/name"), "probe");
}

#[test]
fn a_replacement_that_dies_is_a_failure_of_the_reload() {
    let told = Told::start("-w 1");
    let before = pids(&told.running);
    told.tell("wait");
    told.reload();
    told.waiting(0).signal(Signal::ILL);
    let lines = told.running.wait_for_count("reload failed", 1);
    assert!(lines[0].contains("killed by SIGILL"), "{}", lines[0]);
    assert_eq!(pids(&told.running), before);
}

#[test]
fn a_reload_revives_a_slot_that_waits_to_try_again() {
    let told = Told::start("-w 1");
    let old = told.running.workers().remove(0);
    told.tell("exit");
    old.signal(Signal::KILL);
    // The next try is more than 10 seconds away.
    let deaths = told.running.wait_for_count("worker died", 9);
    let delay: u64 = field(&deaths[8], "delay_ms").parse().unwrap();
    assert!(delay > 10_000);
    told.tell("");
    let start = Instant::now();
    told.reload();
    told.running.wait_for("reloaded");
    assert!(start.elapsed() < Duration::from_millis(delay));
    assert_eq!(told.get("/name"), "probe");
}

#[test]
fn a_slot_never_has_more_than_two_processes() {
    let running = probe("-w 1 --graceful-timeout 1").start();
    let mut stuck = send(running.ready(), "/sleep/100000");
    let first = running.workers().remove(0);
    wait_until("it runs", || running.client().get("/").is_ok());
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    running.signal(Signal::HUP);
    running.wait_for("this one is replaced when they are complete");
    assert!(running.workers().len() <= 2);
    let _ = running.wait_for_count(" reloaded ", 2);
    assert!(first.ends_within(Duration::ZERO), "it was waited for");
    assert!(stuck.response().is_err(), "cut at the deadline");
    let ends = running.wait_for_count("before its requests completed", 1);
    assert_eq!(field(&ends[0], "requests"), "1");
}

#[test]
fn workers_ignore_the_signal_and_so_does_a_single_process() {
    let running = probe("-w 1").start();
    let mut client = running.client();
    let worker = running.workers().remove(0);
    worker.signal(Signal::HUP);
    running.wait_for("only the supervisor reloads");
    let response = client.get("/").unwrap();
    assert_eq!(response.text(), worker.pid().to_string());
    assert_eq!(response.header("connection"), None);

    let running = probe("-w 0").start();
    let mut client = running.client();
    running.signal(Signal::HUP);
    running.wait_for("without workers there is nothing to replace");
    assert_eq!(client.get("/").unwrap().status, 200);

    // One that starts does not die of it, either.
    let told = Told::start("-w 1");
    told.tell("wait");
    told.reload();
    told.waiting(0).signal(Signal::HUP);
    told.tell("");
    told.running.wait_for("reloaded");
}

#[test]
fn every_server_of_an_arbiter_is_reloaded() {
    let running = probe("-w 1 --second 127.0.0.1:0").start();
    let _ = running.wait_for_count(" ready ", 2);
    let before = running.workers();
    assert_eq!(before.len(), 2);
    running.signal(Signal::HUP);
    let lines = running.wait_for_count(" reloaded ", 1);
    assert_eq!(field(&lines[0], "workers"), "2");
    for worker in before {
        assert!(worker.ends_within(tests::PATIENCE));
    }
}

/// A program that calls itself by another version.
fn put_version(directory: &Path, version: &str) {
    fs::create_dir_all(directory).unwrap();
    let script = format!(
        "#!/bin/sh\nPROBE_VERSION={version} exec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_probe")
    );
    let new = directory.join("new");
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, directory.join("probe")).unwrap();
}

#[test]
fn a_new_program_at_the_same_path_is_picked_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &path).unwrap();
    let running = Program::new(&path).args("-w 2 -b 127.0.0.1:0").start();
    let version = || running.client().get("/version").unwrap().text();
    assert_eq!(version(), "");

    fs::remove_file(&path).unwrap();
    running.signal(Signal::HUP);
    let failed = running.wait_for_count("reload failed", 1);
    assert!(failed[0].contains("cannot start the process"), "{failed:?}");
    assert_eq!(version(), "");

    put_version(directory.path(), "2");
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    wait_until("the new version everywhere", || {
        running.workers().len() == 2 && version() == "2"
    });
}

#[test]
fn a_link_that_leads_elsewhere_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("1")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_probe"), root.join("1/probe")).unwrap();
    put_version(&root.join("2"), "2");
    symlink("1", root.join("current")).unwrap();
    // By its path, and found as a shell does, in a directory that the link leads to.
    for (program, path) in [("current/probe", "/bin"), ("probe", "current")] {
        let script = format!(
            "cd {} && PATH={path}:$PATH exec {program} \"$@\"",
            root.display()
        );
        let running = Program::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .args("sh -w 1 -b 127.0.0.1:0")
            .start();
        assert_eq!(running.client().get("/version").unwrap().text(), "");
        symlink("2", root.join("next")).unwrap();
        fs::rename(root.join("next"), root.join("current")).unwrap();
        running.signal(Signal::HUP);
        running.wait_for("reloaded");
        wait_until("the new version", || {
            running.client().get("/version").unwrap().text() == "2"
        });
        fs::remove_file(root.join("current")).unwrap();
        symlink("1", root.join("current")).unwrap();
    }
}
