use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use tests::{Certificate, Client, PATIENCE, Process, Program, Running, Signal, skip};

use crate::{probe, wait_until};

/// A user without processes.
const NOBODY: u32 = 65534;

fn pid_of(running: &Running) -> String {
    format!("{}\n", running.process().pid())
}

#[test]
fn the_pid_file_is_there_as_long_as_the_server() {
    for workers in [2, 0] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probe.pid");
        let arguments = format!("-w {workers} --pid-file {}", file.display());
        let mut running = probe(&arguments).start();
        let _ = running.ready();
        assert_eq!(fs::read_to_string(&file).unwrap(), pid_of(&running));
        running.signal(Signal::TERM);
        assert_eq!(running.exit().code(), Some(0));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn the_pid_file_follows_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("probe.pid");
    let mut running = probe(&format!("-w 1 --pid-file {}", file.display())).start();
    let address = running.ready();
    let old = pid_of(&running);
    running.signal(Signal::USR2);
    running.wait_for("the new supervisor has taken over");
    // It is ended with the test.
    let _ = running.workers();
    let new = fs::read_to_string(&file).unwrap();
    assert_ne!(new, old);
    let new = Process::open(new.trim().parse().unwrap()).unwrap();
    assert_eq!(running.exit().code(), Some(0));
    assert_eq!(
        fs::read_to_string(&file).unwrap().trim(),
        new.pid().to_string()
    );
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    new.signal(Signal::TERM);
    assert!(new.ends_within(PATIENCE));
    assert!(!file.exists());
}

#[test]
fn a_second_start_with_the_same_pid_file_is_refused() {
    for workers in [2, 0] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probe.pid");
        let arguments = format!("-w {workers} --pid-file {}", file.display());
        let mut running = probe(&arguments).start();
        let address = running.ready();
        let (code, line) = probe(&arguments).run();
        assert_eq!(code, Some(1));
        assert_eq!(
            line,
            format!(
                "error: {} names the running process {}; stop it or choose another file",
                file.display(),
                running.process().pid()
            )
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), pid_of(&running));
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);

        // One that did not come to remove its file.
        running.signal(Signal::KILL);
        running.exit();
        assert!(file.exists());
        let running = probe(&arguments).start();
        let _ = running.ready();
        running.wait_for("stale pid file replaced");
        assert_eq!(fs::read_to_string(&file).unwrap(), pid_of(&running));
    }
}

#[test]
fn a_failed_start_leaves_no_pid_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("probe.pid");
    let arguments = format!("-w 2 --bad-start error --pid-file {}", file.display());
    assert_eq!(probe(&arguments).run().0, Some(1));
    assert!(!file.exists());
}

#[test]
fn the_umask_is_that_of_all_files_but_unix_sockets() {
    for workers in [1, 0] {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let (pid, log, socket) = (file("pid"), file("log"), file("socket"));
        let arguments = format!(
            "-w {workers} --umask 027 --pid-file {} --access-log {} -b unix:{}",
            pid.display(),
            log.display(),
            socket.display()
        );
        let running = probe(&arguments).start();
        running.wait_for(" ready ");
        for (file, mode) in [(pid, 0o640), (log.clone(), 0o640), (socket.clone(), 0o660)] {
            let found = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}: {found:o}", file.display());
        }

        // The workers, too: they create the log anew.
        fs::remove_file(&log).unwrap();
        wait_until("a new log", || {
            let mut client = Client::connect_unix(&socket).unwrap();
            assert_eq!(client.get("/").unwrap().status, 200);
            log.exists()
        });
        let mode = fs::metadata(&log).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640, "{mode:o}");
    }
}

#[test]
fn processes_have_titles() {
    let read = |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let running = probe("-w 2").start();
    let _ = running.ready();
    let supervisor = running.process().pid();
    assert_eq!(read(supervisor, "comm"), "pro: supervisor\n");
    assert!(!read(supervisor, "cmdline").contains("supervisor"));
    let mut titles: Vec<_> = running
        .workers()
        .iter()
        .map(|worker| {
            let arguments = read(worker.pid(), "cmdline");
            let title = arguments.split('\0').next().unwrap();
            assert_eq!(read(worker.pid(), "comm").trim_end(), title);
            title.to_owned()
        })
        .collect();
    titles.sort();
    assert_eq!(titles, ["probe: worker 0", "probe: worker 1"]);
}

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        skip("only root can start a program as another user");
    }
    root
}

/// A directory that every user can reach.
fn public_directory() -> io::Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// The probe where every user can reach it.
fn public_probe(directory: &Path, arguments: &str) -> Program {
    let program = directory.join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &program).unwrap();
    Program::new(program).directory("/").args(arguments)
}

/// All four numbers of each: real, effective, saved and that for files.
fn identity(pid: i32) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = status.lines();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept = lines.filter(|line| {
        ["Uid:", "Gid:", "Groups:"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    kept.map(words).collect()
}

#[test]
fn workers_are_another_user() {
    if !is_root() {
        return;
    }
    let directory = public_directory().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (log, socket) = (file("log"), file("socket"));
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).unwrap();
    let arguments = format!(
        "-w 2 --user nobody --group {NOBODY} --access-log {} -b unix:{}",
        log.display(),
        socket.display()
    );
    let running = public_probe(directory.path(), &arguments).start();
    running.wait_for(" ready ");
    for worker in running.workers() {
        assert_eq!(
            identity(worker.pid()),
            [
                "Uid: 65534 65534 65534 65534",
                "Gid: 65534 65534 65534 65534",
                "Groups:"
            ]
        );
    }
    assert_eq!(identity(running.process().pid())[0], "Uid: 0 0 0 0");
    for file in [&log, &socket] {
        let owner = fs::metadata(file).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (NOBODY, NOBODY));
    }
    let mut client = Client::connect_unix(&socket).unwrap();
    assert_eq!(client.get("/").unwrap().status, 200);
    wait_until("a line in the log", || {
        fs::read_to_string(&log).unwrap().contains("GET / ")
    });

    // A reload starts them as the same user.
    running.signal(Signal::HUP);
    running.wait_for(" reloaded ");
    let _ = running.wait_for_count("retired worker ended", 2);
    for worker in running.workers() {
        assert_eq!(identity(worker.pid())[0], "Uid: 65534 65534 65534 65534");
    }
}

#[test]
fn only_root_need_read_the_key_of_a_certificate() {
    if !is_root() {
        return;
    }
    let directory = public_directory().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let key = directory.path().join("key.pem");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = format!("-w 1 --user nobody -b 127.0.0.1:0 {arguments}");
    let running = public_probe(directory.path(), &arguments).start();
    let mut client = Client::connect_tls(running.ready(), &certificate.trusted()).unwrap();
    assert_eq!(client.get("/").unwrap().status, 200);
}

#[test]
fn another_user_that_cannot_be() {
    let (code, line) = probe("-w 0 --user nobody").run();
    assert_eq!(code, Some(2));
    assert!(line.contains("workers is 0"), "{line}");

    let (code, line) = probe("-w 1 --user n.n.").run();
    assert_eq!(code, Some(1));
    assert_eq!(line, "error: there is no user \"n.n.\" on this machine");

    if !is_root() {
        return;
    }
    // Started by a user that is not root.
    let directory = public_directory().unwrap();
    let arguments = "-w 1 --user root -b 127.0.0.1:0";
    let _ = public_probe(directory.path(), arguments);
    let probe = directory.path().join("probe");
    let nobody = NOBODY.to_string();
    let program = Program::new("setpriv").args(&format!(
        "--reuid {nobody} --regid {nobody} --clear-groups {} {arguments}",
        probe.display()
    ));
    let (code, line) = program.run();
    assert_eq!(code, Some(1));
    assert!(line.starts_with("error: only root can start workers as another user"));
}
