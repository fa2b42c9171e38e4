use std::{net::TcpListener, time::Instant};

use tests::{Client, Program, skip};

use crate::{probe, refused};

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for workers in ["0", "2"] {
        assert_eq!(
            refused(probe(&format!("-w {workers} -b {address}"))),
            (
                1,
                format!(
                    "error: cannot listen on {address}: address in use; \
                     stop the other program or choose another address"
                )
            )
        );
    }
}

#[test]
fn what_makes_no_sense_has_a_code_of_its_own() {
    let (code, line) = refused(probe("-w 2 -b nowhere"));
    assert_eq!(code, 2);
    assert!(line.starts_with("error: cannot listen on \"nowhere\": expected HOST:PORT"));

    let (code, line) = refused(probe("-w 2 --max-header-size 100"));
    assert_eq!(code, 2);
    assert!(line.starts_with("error: probe: max_header_size is 100 bytes; "));
}

#[test]
fn a_service_that_cannot_be_built() {
    assert_eq!(
        refused(probe("-w 3 --bad-start error")),
        (
            1,
            "error: probe: worker 2 could not start: no database (exited with code 1)".into()
        )
    );
    assert_eq!(
        refused(probe("-w 0 --bad-start error")),
        (1, "error: probe: could not start: no database".into())
    );
    // A job that runs does not keep the worker alive.
    for workers in [0, 2] {
        let program = probe(&format!("-w {workers} --bad-start error-and-job"));
        let (code, line) = refused(program);
        assert_eq!(code, 1);
        assert!(line.contains("could not start: no luck"), "{line}");
    }
    let (code, line) = refused(probe("-w 3 --bad-start exit"));
    assert_eq!(code, 1);
    assert!(line.ends_with("worker 2 could not start: exited with code 7"));
}

#[test]
fn a_panic_is_an_error_of_the_start() {
    let program = probe("-w 2 --bad-start panic");
    let (code, output) = program.env("RUST_BACKTRACE", "0").run();
    assert_eq!(code, Some(1));
    let last = output.lines().last().unwrap();
    assert_eq!(
        last,
        "error: probe: worker 1 could not start: panicked: no settings (exited with code 1)"
    );
}

#[test]
fn a_start_that_takes_too_long() {
    let (code, line) = refused(probe("-w 2 --bad-start never --start-timeout 0.5"));
    assert_eq!(code, 1);
    assert!(
        line.ends_with(
            "worker 1 could not start: not ready within 0.5 seconds (killed by SIGKILL)"
        )
    );
}

#[test]
fn no_worker_is_left_after_a_failed_start() {
    // The others have long starts, so that they are in the middle of it.
    let program = probe("-w 3 --slow-start 1000 --bad-start exit");
    let mut running = program.start();
    while running.workers().len() < 3 {
        std::thread::yield_now();
    }
    let workers = running.workers();
    assert_eq!(running.exit().code(), Some(1));
    for worker in workers {
        assert!(worker.ends_within(std::time::Duration::ZERO));
    }
}

#[test]
fn nothing_is_accepted_before_the_service_is_built() {
    let running = probe("-w 2 --slow-start 500").start();
    let started = Instant::now();
    let address = running.ready();
    assert!(started.elapsed().as_millis() >= 500);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn the_marker_alone_makes_no_worker() {
    // As in a program that a worker has started.
    let running = probe("-w 1").env("TOWER_PREFORK_WORKER", "1").start();
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

#[test]
fn one_process_serves_by_itself() {
    let running = probe("-w 0").start();
    let pid = running.client().get("/").unwrap().text();
    assert_eq!(pid, running.process().pid().to_string());
    assert!(running.workers().is_empty());
}

#[test]
fn an_arbiter_runs_several_servers() {
    for workers in [0, 2] {
        let arguments = format!("-w {workers} --second 127.0.0.1:0");
        let running = probe(&arguments).start();
        assert_eq!(running.wait_for_count(" ready ", 2).len(), 2);
        let addresses = running.addresses();
        assert_eq!(addresses.len(), 2);
        assert_eq!(running.workers().len(), 2 * workers);
        let mut names = Vec::new();
        for address in addresses {
            let address = address.strip_prefix("http://").unwrap().parse().unwrap();
            names.push(Client::connect(address).get("/name").unwrap().text());
        }
        names.sort();
        assert_eq!(names, ["probe", "second"]);
    }
}

#[test]
fn the_supervisor_has_one_thread_and_that_of_its_log() {
    let running = probe("-w 2").start();
    let _ = running.ready();
    let threads = format!("/proc/{}/task", running.process().pid());
    let threads = std::fs::read_dir(threads).unwrap();
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
    let names = threads.map(|thread| name(thread.unwrap()).unwrap());
    let mut names: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["pro: supervisor", "server-log"]);
}

#[test]
fn workers_hold_no_terminal_and_a_group_of_their_own() {
    let running = probe("-w 1").start();
    let _ = running.ready();
    let worker = running.workers()[0].pid();
    let stdin = std::fs::read_link(format!("/proc/{worker}/fd/0")).unwrap();
    assert_eq!(stdin.to_str(), Some("/dev/null"));
    // pid (name) state parent group; there may be spaces in the name.
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let group = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(2)
        .unwrap();
    assert_eq!(group, worker.to_string());
}

/// The number of threads and processes of a user without other processes.
#[test]
fn a_thread_that_the_system_refuses_is_an_error_of_the_start() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can start a program as a user who has no other processes");
    }
    let directory = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let probe = directory.path().join("probe");
    std::fs::copy(env!("CARGO_BIN_EXE_probe"), &probe).unwrap();
    // Each limit stops the start at another thread or process.
    let with_workers = (1..=5).map(|limit| (limit, "-w 1 --access-log -"));
    let alone = (1..=3).map(|limit| (limit, "-w 0"));
    for (limit, arguments) in with_workers.chain(alone) {
        // A number for each: what has ended may count for a moment.
        let user = 1_700_000_000 + std::process::id() * 100 + limit * 2;
        let user = user + u32::from(arguments == "-w 0");
        let program = Program::new("setpriv").directory("/").args(&format!(
            "--reuid {user} --regid {user} --clear-groups prlimit --nproc={limit} {} -b 127.0.0.1:0 {arguments}",
            probe.display()
        ));
        let (code, output) = program.run();
        assert_eq!(code, Some(1), "{output}");
        let line = output.lines().last().unwrap();
        assert!(line.starts_with("error: "), "{output}");
        assert!(line.contains("cannot start the "), "{line}");
        assert!(
            line.contains("the system allows no more threads; raise pids.max"),
            "{line}"
        );
    }
}
