//! SIGUSR1: the files of the logs are opened again.

use std::{fs, path::Path};

use tests::{Program, Signal, wait_until};

use crate::probe;

fn with_logs(arguments: &str, directory: &Path) -> Program {
    let program = probe(arguments).directory(directory);
    program.args("--log-file server.log --access-log access.log")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn all_processes_open_their_logs_again() {
    for workers in [2, 0] {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let mut running = with_logs(&format!("-w {workers}"), directory.path()).start();
        let server_log = file("server.log");
        wait_until("the server is ready", || {
            text(&server_log).contains(" ready ")
        });
        assert!(!text(&server_log).contains('\u{1b}'));

        for name in ["server.log", "access.log"] {
            fs::rename(file(name), file(name).with_extension("log.1")).unwrap();
        }
        running.signal(Signal::USR1);
        // Without a request: the access log exists before its first line.
        wait_until("the logs are opened again", || {
            text(&server_log).contains("opened again") && file("access.log").exists()
        });

        fs::rename(file("access.log"), file("access.log.2")).unwrap();
        let other = running.workers().pop();
        other
            .as_ref()
            .unwrap_or(running.process())
            .signal(Signal::USR1);
        wait_until("a worker opens its own", || file("access.log").exists());

        running.signal(Signal::TERM);
        assert_eq!(running.exit().code(), Some(0));
        assert!(text(&server_log).contains(" stopped"));
        assert_eq!(running.log(), [""; 0], "nothing on standard error");
    }
}

#[test]
fn a_reload_opens_the_server_log_again() {
    let directory = tempfile::tempdir().unwrap();
    let running = with_logs("-w 1", directory.path()).start();
    let (path, old) = (
        directory.path().join("server.log"),
        directory.path().join("old"),
    );
    wait_until("the server is ready", || text(&path).contains(" ready "));
    fs::rename(&path, &old).unwrap();
    running.signal(Signal::HUP);
    wait_until("the reload is logged", || text(&path).contains("reloaded"));
    assert!(!text(&old).contains("reloaded"));
}

#[test]
fn a_signal_during_the_start_ends_no_worker() {
    let directory = tempfile::tempdir().unwrap();
    let start = directory.path().join("start");
    fs::write(&start, "wait").unwrap();
    let running = probe("-w 1").arg("--start").arg(&start).start();
    running.wait_for("waiting slot=0");
    running.signal(Signal::USR1);
    running.workers()[0].signal(Signal::USR1);
    running.wait_for("log files opened again");
    fs::write(&start, "").unwrap();
    running.wait_for(" ready ");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_an_error_of_the_start() {
    for workers in [1, 0] {
        let program = probe(&format!("-w {workers} --log-file /nonexistent/log"));
        let (code, output) = crate::refused(program);
        assert_eq!(code, 1);
        assert_eq!(
            output,
            "error: probe: cannot open the server log /nonexistent/log: No such file or directory (os error 2); \
             choose a file that this user may write"
        );
    }
}

#[test]
fn the_log_file_may_be_set_in_the_configuration_file() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("probe.toml");
    fs::write(
        &config,
        "log_file = \"server.log\"\nlog_level = \"warning\"\n",
    )
    .unwrap();
    let program = probe("-w 1 --bad-start panic").directory(directory.path());
    let (code, output) = program.arg("-c").arg(&config).run();
    assert_eq!(code, Some(1));
    // The reason why it does not start is in both places.
    assert!(
        output.contains("error: probe: worker 0 could not start: panicked: no settings"),
        "{output}"
    );
    let log = text(&directory.path().join("server.log"));
    assert!(
        log.contains("error: probe: worker 0 could not start"),
        "{log}"
    );
    assert!(
        log.contains("panicked at") && !output.contains("panicked at"),
        "{log}{output}"
    );
}
