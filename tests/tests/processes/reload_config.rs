//! A configuration file that changes while the server runs.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use tests::{Client, Program, Running, Signal, wait_until};

use crate::workers_become;

struct Configured {
    running: Running,
    directory: tempfile::TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = write(directory.path(), text);
        let program = Program::new(env!("CARGO_BIN_EXE_probe"));
        let running = program.arg("--config").arg(file).start();
        running.wait_for(" ready ");
        Self { running, directory }
    }

    fn write(&self, text: &str) {
        write(self.directory.path(), text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Reloads, and waits for the outcome.
    fn reload(&self, outcome: &str) {
        let before = self.count(outcome);
        self.running.signal(Signal::HUP);
        let _ = self.running.wait_for_count(outcome, before + 1);
    }

    fn count(&self, text: &str) -> usize {
        let log = self.running.log();
        log.iter().filter(|line| line.contains(text)).count()
    }

    /// The TCP addresses in the order in which they were first listened on.
    fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.running.addresses();
        let tcp = addresses
            .iter()
            .filter_map(|one| one.strip_prefix("http://"));
        tcp.map(|one| one.parse().unwrap()).collect()
    }
}

fn write(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("shop.toml");
    // Whole from its first moment.
    let draft = directory.join("draft");
    fs::write(&draft, text).unwrap();
    fs::rename(draft, &file).unwrap();
    file
}

#[test]
fn settings_and_workers_follow_the_file() {
    let server = Configured::start("bind = \"127.0.0.1:0\"\nworkers = 1\nthread_workers = 3\n");
    let address = server.addresses()[0];
    let threads = || Client::connect(address).get("/threads").unwrap().text();
    assert_eq!(threads(), "3");
    server.write("bind = \"127.0.0.1:0\"\nworkers = 3\nthread_workers = 7\n");
    server.reload(" reloaded ");
    workers_become(&server.running, 3);
    wait_until("the new number everywhere", || {
        (0..9).all(|_| threads() == "7")
    });
    server.write("bind = \"127.0.0.1:0\"\nworkers = 1\n");
    server.reload(" reloaded ");
    workers_become(&server.running, 1);
    assert_eq!(threads(), "10");
}

#[test]
fn a_worker_that_dies_is_started_with_what_was_accepted() {
    let server = Configured::start("bind = \"127.0.0.1:0\"\nworkers = 1\nthread_workers = 3\n");
    let address = server.addresses()[0];
    for text in [
        "thread_workers = \"many\"\n",
        "bind = \"127.0.0.1:0\"\nthread_workers = 4\n",
    ] {
        server.write(text);
        let replaced = server.count("worker replaced");
        server.running.workers()[0].signal(Signal::KILL);
        let _ = server
            .running
            .wait_for_count("worker replaced", replaced + 1);
        assert_eq!(
            Client::connect(address).get("/threads").unwrap().text(),
            "3"
        );
    }
}

#[test]
fn listeners_come_and_go() {
    let server = Configured::start("bind = \"127.0.0.1:0\"\nworkers = 2\n");
    let first = server.addresses()[0];
    let socket = server.path("socket");
    let unix = format!("\"unix:{}\"", socket.display());
    server.write(&format!("bind = [\"127.0.0.1:0\", {unix}]\nworkers = 2\n"));
    server.reload(" reloaded ");
    assert_eq!(Client::connect(first).get("/").unwrap().status, 200);
    let mut kept = Client::connect_unix(&socket).unwrap();
    assert_eq!(kept.get("/").unwrap().status, 200);
    server.write("bind = \"127.0.0.1:0\"\nworkers = 2\n");
    server.reload(" reloaded ");
    server.running.wait_for("no longer listening");
    assert!(!socket.exists());
    // The last request of a connection that was there.
    assert_eq!(kept.get("/").unwrap().status, 200);
    assert_eq!(Client::connect(first).get("/").unwrap().status, 200);
}

#[test]
fn a_bad_file_changes_nothing() {
    let good = "bind = \"127.0.0.1:0\"\nworkers = 2\n";
    let server = Configured::start(good);
    let address = server.addresses()[0];
    let workers = || {
        let workers = server.running.workers();
        workers.iter().map(tests::Process::pid).collect::<Vec<_>>()
    };
    let before = workers();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let file = server.path("shop.toml").display().to_string();
    let refused = "reload refused; nothing has changed";
    for (text, reason) in [
        ("wrokers = 3\n".to_owned(), format!("{file}:3: ")),
        ("thread_workers = 5000\n".into(), format!("{file}:3: ")),
        ("thread_workers = \"many\"\n".into(), format!("{file}:3: ")),
        ("thread_workers =\n".into(), format!("{file}:3: ")),
    ] {
        server.write(&format!("{good}{text}"));
        server.reload(refused);
        let lines = server.running.wait_for_count(refused, 1);
        let last = lines.last().unwrap();
        assert!(last.contains(&reason), "{text}: {last}");
    }
    let other = server.path("other");
    server.write(&format!(
        "bind = [\"unix:{}\", \"{taken}\"]\n",
        other.display()
    ));
    server.reload(refused);
    let lines = server.running.wait_for_count(refused, 1);
    let last = lines.last().unwrap();
    assert!(
        last.contains(&format!("{file}:1: cannot listen on {taken}")),
        "{last}"
    );
    assert!(!other.exists(), "refused as a whole");
    fs::remove_file(server.path("shop.toml")).unwrap();
    server.reload(refused);

    assert_eq!(workers(), before);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    server.write(good);
    server.reload(" reloaded ");
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_configuration_that_no_worker_starts_with_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let start = directory.path().join("start");
    fs::write(&start, "go").unwrap();
    let socket = directory.path().join("socket");
    let file = write(
        directory.path(),
        "bind = \"127.0.0.1:0\"\nworkers = 2\nthread_workers = 3\n",
    );
    let running = Program::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--config")
        .arg(file)
        .arg("--start")
        .arg(&start)
        .start();
    let address = running.ready();
    let text = format!(
        "bind = [\"127.0.0.1:0\", \"unix:{}\"]\nworkers = 4\n",
        socket.display()
    );
    write(directory.path(), &text);
    fs::write(&start, "error").unwrap();
    running.signal(Signal::HUP);
    running.wait_for("reload failed");
    wait_until("the new socket is closed", || !socket.exists());
    fs::write(&start, "go").unwrap();
    running.workers()[0].signal(Signal::KILL);
    running.wait_for("worker replaced");
    workers_become(&running, 2);
    for _ in 0..10 {
        assert_eq!(
            Client::connect(address).get("/threads").unwrap().text(),
            "3"
        );
    }
}
