//! `--reload`: workers that are replaced when a file changes.

use std::{
    fs,
    time::{Duration, Instant},
};

use tests::{Client, Process, Running};

use crate::{field, probe, wait_until, workers_become};

/// The paths of the reported changes, at least this many.
fn changes(running: &Running, count: usize) -> Vec<String> {
    let lines = running.wait_for_count("file changed", count);
    lines.iter().map(|line| field(line, "path")).collect()
}

fn reloaded(running: &Running, count: usize) {
    let _ = running.wait_for_count(" reloaded ", count);
}

#[test]
fn a_change_replaces_the_workers() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("app/templates")).unwrap();
    fs::write(root.join("app/views.py"), "1").unwrap();
    let running = probe("-w 2 --reload").directory(root).start();
    let _ = running.ready();
    let before = running.workers();

    // What does not count comes first, so that it would be seen.
    fs::create_dir_all(root.join("target/debug")).unwrap();
    fs::create_dir(root.join("__pycache__")).unwrap();
    for name in ["db.sqlite3", ".views.py.swp", "views.pyc", "__pycache__/a"] {
        fs::write(root.join(name), "2").unwrap();
    }
    fs::write(root.join("app/views.py"), "2").unwrap();
    reloaded(&running, 1);
    let path = root.join("app/views.py").display().to_string();
    assert_eq!(changes(&running, 1)[0], path);
    for worker in before {
        assert!(worker.ends_within(tests::PATIENCE));
    }
    workers_become(&running, 2);

    // As editors save.
    fs::write(root.join("app/new~"), "3").unwrap();
    fs::rename(root.join("app/new~"), root.join("app/views.py")).unwrap();
    reloaded(&running, 2);
    fs::remove_file(root.join("app/views.py")).unwrap();
    reloaded(&running, 3);
    // And files in directories that were not there.
    fs::create_dir_all(root.join("web/static")).unwrap();
    reloaded(&running, 4);
    fs::write(root.join("web/static/index.html"), "").unwrap();
    running.wait_for("web/static/index.html");
}

#[test]
fn files_that_change_together_are_one_reload() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let running = probe("-w 1").arg("--reload-dir").arg(path).start();
    let _ = running.ready();
    for number in 0..50 {
        fs::write(path.join(format!("{number}.py")), "").unwrap();
    }
    reloaded(&running, 1);
    fs::write(path.join("last"), "").unwrap();
    running.wait_for("/last");
    // Most often two; more when this test is not given the time to write all at once.
    assert!(changes(&running, 2).len() < 25);
}

#[test]
fn a_broken_version_leaves_the_old_workers_until_the_next_change() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start");
    fs::write(&file, "").unwrap();
    let running = probe("-w 2")
        .arg("--reload-dir")
        .arg(directory.path())
        .arg("--start")
        .arg(&file)
        .start();
    let address = running.ready();
    let pids = || -> Vec<_> { running.workers().iter().map(Process::pid).collect() };
    let before = pids();
    fs::write(&file, "error").unwrap();
    let lines = running.wait_for_count("reload failed", 1);
    assert!(lines[0].contains("no database"), "{}", lines[0]);
    workers_become(&running, 2);
    assert_eq!(pids(), before);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);

    fs::write(&file, "").unwrap();
    reloaded(&running, 1);
    workers_become(&running, 2);
    assert!(pids().iter().all(|pid| !before.contains(pid)));
}

#[test]
fn old_code_does_not_serve_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("views.py");
    let running = probe("-w 1 --graceful-timeout 10000")
        .arg("--reload-dir")
        .arg(directory.path())
        .start();
    let mut idle = running.client();
    let old = idle.get("/").unwrap().text();
    let mut endless = running.client();
    let request = "GET /sleep/100000000 HTTP/1.1\r\nhost: test\r\n\r\n";
    endless.send(request).unwrap();
    wait_until("it runs", || running.client().get("/").is_ok());
    fs::write(&file, "2").unwrap();
    reloaded(&running, 1);
    let start = Instant::now();
    assert_eq!(idle.rest().unwrap(), b"");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    wait_until("the new code", || {
        running.client().get("/").unwrap().text() != old
    });
    assert!(!endless.has_response(), "a request that runs may finish");
    fs::write(&file, "3").unwrap();
    reloaded(&running, 2);
    assert!(endless.response().is_err(), "but not for ever");
}

#[test]
fn the_program_itself_is_watched() {
    let directory = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    // A build puts it where no other file is looked at.
    let target = directory.path().join("target");
    fs::create_dir(&target).unwrap();
    let path = target.join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &path).unwrap();
    let running = tests::Program::new(&path)
        .args("-w 1 -b 127.0.0.1:0 --reload-dir")
        .arg(empty.path())
        .start();
    let _ = running.ready();
    fs::write(target.join("other"), "").unwrap();
    let new = target.join("new");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &new).unwrap();
    fs::rename(&new, &path).unwrap();
    reloaded(&running, 1);
    assert_eq!(changes(&running, 1), [path.display().to_string()]);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let (code, output) = probe("-w 0 --reload").run();
    assert_eq!(code, Some(2));
    assert!(
        output.contains("workers is 0, so there is no worker"),
        "{output}"
    );
    let (code, output) = probe("-w 1 --reload-dir /nowhere").run();
    assert_eq!(code, Some(1));
    let line = "error: cannot watch /nowhere: No such file or directory";
    assert!(output.contains(line), "{output}");
}
