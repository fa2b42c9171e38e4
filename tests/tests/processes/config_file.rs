use std::{fs, net::TcpListener, path::PathBuf};

use tempfile::TempDir;
use tests::{Program, Running, Signal};

use crate::{refused, wait_until};

/// A configuration file that a test may change.
struct File {
    directory: TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = Self { directory };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("shop.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    /// A server in the directory of the file, with it.
    fn server(&self, arguments: &str) -> Program {
        Program::new(env!("CARGO_BIN_EXE_probe"))
            .directory(self.directory.path())
            .args("--config shop.toml")
            .args(arguments)
    }
}

fn threads(running: &Running) -> String {
    running.client().get("/threads").unwrap().text()
}

#[test]
fn the_file_goes_over_the_program_and_the_command_line_over_the_file() {
    let file = File::new(
        "bind = ['127.0.0.1:0', 'unix:shop.sock']\nworkers = 1\nthread_workers = 3\nbacklog = 0",
    );
    let running = file
        .server("--backlog 9")
        .env("TOWER_PREFORK_WORKERS", "2")
        .start();
    assert_eq!(threads(&running), "3");
    assert_eq!(running.workers().len(), 2);
    assert_eq!(running.addresses()[1], "unix:shop.sock");

    let by_environment = Program::new(env!("CARGO_BIN_EXE_probe"))
        .env("TOWER_PREFORK_CONFIG", file.path())
        .args("-w 0 -b 127.0.0.1:0 --backlog 9")
        .start();
    assert_eq!(threads(&by_environment), "3");
}

#[test]
fn a_worker_has_what_was_accepted_whatever_the_file_says_by_then() {
    let file = File::new("bind = '127.0.0.1:0'\nworkers = 1\nthread_workers = 3\n");
    let running = file.server("").start();
    assert_eq!(threads(&running), "3");
    for text in [Some("thread_workers = 4\n"), Some("nonsense\n"), None] {
        match text {
            Some(text) => file.write(text),
            None => fs::remove_file(file.path()).unwrap(),
        }
        let [before] = &*running.workers() else {
            panic!("one worker")
        };
        before.signal(Signal::KILL);
        wait_until("another worker", || {
            let workers = running.workers();
            workers.len() == 1 && workers[0].pid() != before.pid()
        });
        assert_eq!(threads(&running), "3");
    }
}

#[test]
fn the_log_is_as_the_file_said() {
    let file = File::new("bind = 0\nworkers = 1\nlog_format = 'json'\nlog_level = 'debug'\n");
    let mut running = file.server("").start();
    running.wait_for("\"message\":\"ready\"");
    // The workers have the accepted settings: this one exits at its lifetime.
    file.write("log_format = 'text'");
    running.workers()[0].signal(Signal::KILL);
    running.wait_for("\"message\":\"worker replaced\"");
    running.signal(Signal::KILL);
    running.wait_for("\"message\":\"the supervisor has ended\"");
    running.exit();

    let running = file.server("-b 0 -w 1 --log-format json").start();
    running.wait_for("\"message\":\"ready\"");
}

#[test]
fn a_file_that_makes_no_sense_is_refused_with_the_line() {
    for workers in [0, 2] {
        let refused = |text: &str| refused(File::new(text).server(&format!("-w {workers}")));
        assert_eq!(
            refused("bind = 0\n\nthread_wokers = 4\n"),
            (
                2,
                "error: shop.toml:3: unknown key \"thread_wokers\"; did you mean \"thread_workers\"?"
                    .into()
            )
        );
        assert_eq!(
            refused("bind = 0\nmax_headers = 0\n"),
            (
                2,
                "error: shop.toml:2: max_headers is 0; choose a number from 1 to 10000".into()
            )
        );
        let (code, line) = refused("bind = 0\nlog_level = 'a=b=c'\n");
        assert_eq!(code, 2);
        assert!(
            line.starts_with("error: shop.toml:2: log_level: "),
            "{line}"
        );
    }
    let file = File::new("");
    fs::remove_file(file.path()).unwrap();
    let (code, line) = refused(file.server(""));
    assert_eq!(code, 2);
    let start = "error: cannot read the configuration file shop.toml: No such file";
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let file = File::new(&format!(
        "workers = 1\nbind = [\n  '0',\n  '{address}',\n]\n"
    ));
    let problem = format!(
        "cannot listen on {address}: address in use; \
         stop the other program or choose another address"
    );
    assert_eq!(
        refused(file.server("")),
        (1, format!("error: shop.toml:4: {problem}"))
    );
    // The command line's is not the file's.
    file.write("workers = 1\nbind = '0'\n");
    assert_eq!(
        refused(file.server(&format!("-b {address}"))),
        (1, format!("error: {problem}"))
    );
}

#[test]
fn an_access_log_that_cannot_be_opened_is_named_with_the_line() {
    let file = File::new("bind = 0\naccess_log = 'none/access.log'\n");
    let (code, line) = refused(file.server("-w 1"));
    assert_eq!(code, 1);
    assert!(line.starts_with("error: shop.toml:2: "), "{line}");
}
