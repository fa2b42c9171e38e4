//! A server to which the system refuses threads.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, process::Command, thread};

use tests::{Client, Program, Running, wait_until};

/// Sets the limit of threads of a program that runs as `user`, who may do that where root may not.
fn limit(running: &Running, user: u32, threads: usize) {
    let status = Command::new("setpriv")
        .arg(format!("--reuid={user}"))
        .args(["--clear-groups", "prlimit"])
        .arg(format!("--pid={}", running.process().pid()))
        .arg(format!("--nproc={threads}:"))
        .status();
    assert!(status.expect("util-linux").success());
}

fn status(address: SocketAddr, milliseconds: usize) -> u16 {
    let path = format!("/work/{milliseconds}");
    Client::connect(address).get(&path).unwrap().status
}

#[test]
fn a_pool_goes_on_with_the_threads_that_the_system_gives_it() {
    if !rustix::process::geteuid().is_root() {
        tests::skip(
            "the limit of threads does not bind a user that is counted elsewhere: it needs root",
        );
        return;
    }
    // A user of its own, whose threads are those of the server alone, may not read where the programs lie.
    let user = 4_000_000 + std::process::id();
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let probe = directory.path().join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &probe).unwrap();
    let running = Program::new("setpriv")
        .args(&format!("--reuid={user} --clear-groups"))
        .arg(&probe)
        .args("-b 127.0.0.1:0 -w 0 --thread-workers 8")
        .directory("/")
        .start();
    let address = running.ready();
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    let tasks = format!("/proc/{}/task", running.process().pid());
    let own = fs::read_dir(tasks).unwrap().count();

    limit(&running, user, own);
    assert_eq!(status(address, 0), 503);
    let warning = running
        .wait_for_count("the system refuses threads", 1)
        .remove(0);
    assert!(
        warning.contains("pids.max") && warning.contains("RLIMIT_NPROC"),
        "{warning}"
    );

    limit(&running, user, own + 1);
    wait_until("a thread", || status(address, 0) == 200);
    let calls: Vec<_> = (0..6)
        .map(|_| thread::spawn(move || status(address, 100)))
        .collect();
    for call in calls {
        assert_eq!(call.join().unwrap(), 200, "it has a thread, if only one");
    }
}
