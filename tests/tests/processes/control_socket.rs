//! What an operator sees and does at the control socket.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Client, PATIENCE, Program, Running, Signal, WebSocketClient, wait_until};

use crate::{field, probe, workers_become};

/// A server with a control socket.
struct Controlled {
    running: Running,
    directory: TempDir,
}

impl Controlled {
    fn start(arguments: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = socket(&directory);
        let running = probe(arguments).arg("--control-socket").arg(&socket);
        let running = running.start();
        wait_until("the control socket", || {
            UnixStream::connect(&socket).is_ok()
        });
        Self { running, directory }
    }

    fn ready(arguments: &str) -> Self {
        let controlled = Self::start(arguments);
        let _ = controlled.running.ready();
        controlled
    }

    fn socket(&self) -> PathBuf {
        socket(&self.directory)
    }

    fn connect(&self) -> Operator {
        Operator::connect(&self.socket())
    }

    /// What the status says of the only server's workers.
    fn workers(&self) -> Vec<Value> {
        let status = self.connect().ask(r#"{"command":"status"}"#);
        assert_eq!(status["ok"], true, "{status}");
        let workers = &status["status"]["servers"][0]["workers"];
        workers.as_array().expect("a list").clone()
    }

    /// What the command prints, and its exit code.
    fn ctl(&self, arguments: &str) -> (Option<i32>, String) {
        self.ctl_program(arguments).run()
    }

    fn ctl_program(&self, arguments: &str) -> Program {
        let program = ctl(arguments);
        program.arg("--control-socket").arg(self.socket())
    }
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("control")
}

/// The command that talks to a server.
fn ctl(arguments: &str) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_probe"));
    program.arg("ctl").args(arguments)
}

/// A connection to the control socket.
struct Operator(BufReader<UnixStream>);

impl Operator {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("a server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, request: &str) {
        let line = request.to_owned() + "\n";
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn response(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, request: &str) -> Value {
        self.send(request);
        self.response()
    }
}

fn error(response: &Value) -> &str {
    assert_eq!(response["ok"], false, "{response}");
    response["error"].as_str().expect("a sentence")
}

fn pid(worker: &Value) -> i64 {
    worker["pid"].as_i64().expect("a process")
}

#[test]
fn the_file_is_the_users_alone_and_goes_with_the_server() {
    let mut controlled = Controlled::ready("-w 1 --umask 000");
    let file = fs::metadata(controlled.socket()).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    assert_eq!(file.uid(), rustix::process::geteuid().as_raw());
    controlled.running.signal(Signal::TERM);
    controlled.running.exit();
    assert!(!controlled.socket().exists());
}

#[test]
fn a_second_server_with_the_same_socket_is_refused() {
    let controlled = Controlled::ready("-w 1");
    let socket = controlled.socket();
    let second = probe("-w 1").arg("--control-socket").arg(&socket);
    let place = socket.display();
    assert_eq!(
        second.run(),
        (
            Some(1),
            format!(
                "error: cannot create the control socket {place}: another program listens there; \
                 stop it or choose another path"
            )
        )
    );
    assert_eq!(controlled.workers().len(), 1);
}

#[test]
fn a_file_that_is_left_over_is_replaced() {
    let mut first = Controlled::ready("-w 1");
    first.running.signal(Signal::KILL);
    first.running.exit();
    assert!(first.socket().exists());
    let second = probe("-w 1").arg("--control-socket").arg(first.socket());
    let second = second.start();
    let _ = second.ready();
    let status = first.connect().ask(r#"{"command":"status"}"#);
    assert_eq!(status["status"]["pid"], second.process().pid());
}

#[test]
fn the_file_of_another_program_is_left_alone() {
    let mut controlled = Controlled::ready("-w 1");
    fs::remove_file(controlled.socket()).unwrap();
    let _other = UnixListener::bind(controlled.socket()).unwrap();
    controlled.running.signal(Signal::TERM);
    controlled.running.exit();
    assert!(controlled.socket().exists());
}

#[test]
fn without_a_supervisor_there_is_no_control_socket() {
    let (code, line) = probe("-w 0 --control-socket control").run();
    assert_eq!(code, Some(2));
    assert!(line.contains("choose 1 or more workers"), "{line}");
}

#[test]
fn invalid_requests_get_an_error() {
    let controlled = Controlled::ready("-w 1");
    let mut operator = controlled.connect();
    for garbage in ["", "status", "{}", "[1", r#"{"command":"dance"}"#, "\0"] {
        let response = operator.ask(garbage);
        assert!(error(&response).contains("invalid request"), "{response}");
    }
    let long = " ".repeat(5 << 10);
    assert!(error(&operator.ask(&long)).contains("longer than 4096 bytes"));
    assert_eq!(operator.0.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert_eq!(controlled.workers().len(), 1);
}

#[test]
fn idle_connections_keep_nobody_away() {
    let controlled = Controlled::ready("-w 1");
    let silent: Vec<_> = (0..100).map(|_| controlled.connect()).collect();
    let mut operator = controlled.connect();
    assert_eq!(operator.ask(r#"{"command":"status"}"#)["ok"], true);
    // One that says nothing is not waited for.
    for mut silent in silent {
        assert_eq!(silent.0.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
    assert_eq!(operator.ask(r#"{"command":"status"}"#)["ok"], true);
}

#[test]
fn too_many_waiting_clients_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start");
    std::fs::write(&file, "wait").unwrap();
    let controlled = Controlled::start(&format!("-w 1 --start {}", file.display()));
    let mut open: Vec<_> = (0..64).map(|_| controlled.connect()).collect();
    for operator in &mut open {
        let request = b"{\"command\":\"reload\"}\n";
        operator.0.get_mut().write_all(request).unwrap();
    }
    let _ = controlled.running.wait_for_count("reload requested", 64);
    let mut refused = controlled.connect();
    assert!(error(&refused.response()).contains("try again later"));
    std::fs::write(&file, "go").unwrap();
    for operator in &mut open {
        assert_eq!(operator.response()["ok"], true);
    }
    // They are idle now.
    let response = controlled.connect().ask(r#"{"command":"status"}"#);
    assert_eq!(response["ok"], true);
}

#[test]
fn the_status_tells_what_every_worker_does() {
    let controlled = Controlled::ready("-w 2");
    let status = controlled.connect().ask(r#"{"command":"status"}"#);
    let status = &status["status"];
    assert_eq!(status["pid"], controlled.running.process().pid());
    let server = &status["servers"][0];
    assert_eq!(server["name"], "probe");
    assert_eq!(server["addresses"], json!(controlled.running.addresses()));

    let mut client = controlled.running.client();
    let serving: i64 = client.get("/").unwrap().text().parse().unwrap();
    // Heartbeats tell it, once a second.
    wait_until("the request in the status", || {
        let workers = controlled.workers();
        assert_eq!(workers.len(), 2);
        let slots: Vec<_> = workers.iter().map(|worker| &worker["slot"]).collect();
        assert_eq!(slots, [0, 1]);
        for worker in &workers {
            assert_eq!(
                (&worker["role"], &worker["state"]),
                (&"serving".into(), &"ready".into())
            );
            assert_eq!(worker["restarts"], 0);
        }
        let worker = workers.iter().find(|worker| pid(worker) == serving);
        let worker = worker.expect("it is one of them");
        worker["requests"] == 1 && worker["connections"] == 1 && worker["memory_bytes"] != 0
    });
}

#[test]
fn the_status_while_a_worker_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start");
    fs::write(&file, "1 wait").unwrap();
    let controlled = Controlled::start(&format!("-w 2 --start {}", file.display()));
    let waiting = controlled.running.wait_for_count("waiting_pid=", 1);
    let waiting: i64 = field(&waiting[0], "waiting_pid").parse().unwrap();
    wait_until("worker 0 is ready", || {
        controlled.workers()[0]["state"] == "ready"
    });
    let workers = controlled.workers();
    assert_eq!(workers[1]["state"], "starting");
    assert_eq!(pid(&workers[1]), waiting);
    fs::write(&file, "").unwrap();
    let _ = controlled.running.ready();
    wait_until("worker 1 is ready", || {
        controlled.workers()[1]["state"] == "ready"
    });
}

#[test]
fn a_worker_that_died_is_counted() {
    let controlled = Controlled::ready("-w 1");
    let worker = controlled.running.workers().remove(0);
    worker.signal(Signal::KILL);
    wait_until("another worker", || {
        let workers = controlled.workers();
        workers[0]["restarts"] == 1
            && workers[0]["state"] == "ready"
            && pid(&workers[0]) != i64::from(worker.pid())
    });
}

#[test]
fn the_response_to_a_stop_comes_first() {
    let mut controlled = Controlled::ready("-w 2");
    assert_eq!(
        controlled.ctl("stop"),
        (
            Some(0),
            "stopping; running requests may finish until the deadline\n".into()
        )
    );
    assert_eq!(controlled.running.exit().code(), Some(0));
    assert!(!controlled.socket().exists());
}

#[test]
fn the_status_while_the_server_stops() {
    let mut controlled = Controlled::ready("-w 1");
    let mut client = controlled.running.client();
    client
        .send(b"GET /sleep/1000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    wait_until("the request runs", || {
        controlled.workers()[0]["in_flight"] == 1
    });
    assert_eq!(
        controlled.connect().ask(r#"{"command":"stop"}"#),
        json!({"ok": true})
    );
    wait_until("it drains", || {
        controlled.workers()[0]["state"] == "draining"
    });
    assert!(error(&controlled.connect().ask(r#"{"command":"reload"}"#)).contains("stop"));
    // Asked again, it stops at once.
    assert_eq!(
        controlled.connect().ask(r#"{"command":"stop"}"#),
        json!({"ok": true})
    );
    controlled.running.exit();
}

#[test]
fn the_response_to_a_reload_comes_when_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start");
    fs::write(&file, "").unwrap();
    let controlled = Controlled::ready(&format!("-w 2 --start {}", file.display()));
    let before: Vec<_> = controlled.workers().iter().map(pid).collect();
    assert_eq!(controlled.ctl("reload"), (Some(0), "reloaded\n".into()));
    let workers = controlled.workers();
    let serving = workers.iter().filter(|worker| worker["role"] == "serving");
    assert!(serving.clone().all(|worker| !before.contains(&pid(worker))));
    assert_eq!(serving.count(), 2);

    fs::write(&file, "error").unwrap();
    let (code, line) = controlled.ctl("reload");
    assert_eq!(code, Some(1));
    assert!(
        line.starts_with("error: ") && line.contains("no database"),
        "{line}"
    );
    assert_eq!(
        Client::connect(controlled.running.ready())
            .get("/")
            .unwrap()
            .status,
        200
    );
}

#[test]
fn the_number_of_workers_is_changed() {
    let controlled = Controlled::ready("-w 1");
    let (code, line) = controlled.ctl("scale 3");
    assert_eq!((code, &*line), (Some(0), "scaling to 3 workers\n"));
    workers_become(&controlled.running, 3);
    assert_eq!(controlled.ctl("scale 1").0, Some(0));
    workers_become(&controlled.running, 1);
    for nonsense in ["0", "5000"] {
        let (code, line) = controlled.ctl(&format!("scale {nonsense}"));
        assert_eq!(code, Some(1), "{line}");
        assert!(line.starts_with("error: "), "{line}");
    }
    let (code, line) = controlled.ctl("scale 2 --server shop");
    assert_eq!(code, Some(1));
    assert!(line.contains("shop") && line.contains("probe"), "{line}");
    workers_become(&controlled.running, 1);
}

#[test]
fn one_worker_is_replaced() {
    let controlled = Controlled::ready("-w 2");
    let before: Vec<_> = controlled.workers().iter().map(pid).collect();
    assert_eq!(
        controlled.ctl("restart 1"),
        (Some(0), "worker 1 replaced\n".into())
    );
    let serving = |slot: usize| {
        let workers = controlled.workers();
        let mut workers = workers.iter();
        let worker = workers.find(|one| one["slot"] == slot && one["role"] == "serving");
        pid(worker.expect("one serves"))
    };
    assert_eq!(serving(0), before[0]);
    assert_ne!(serving(1), before[1]);
    let (code, line) = controlled.ctl("restart 2");
    assert_eq!(code, Some(1));
    assert!(line.starts_with("error: "), "{line}");
}

#[test]
fn where_there_are_several_servers_one_must_be_named() {
    let controlled = Controlled::start("-w 1 --second 127.0.0.1:0");
    let _ = controlled.running.wait_for_count(" ready ", 2);
    let (code, line) = controlled.ctl("scale 2");
    assert_eq!(code, Some(1));
    assert!(line.contains("probe") && line.contains("second"), "{line}");
    assert_eq!(controlled.ctl("scale 2 --server second").0, Some(0));
    workers_become(&controlled.running, 3);
    assert_eq!(controlled.ctl("restart 1 --server second").0, Some(0));
}

#[test]
fn a_new_supervisor_serves_the_same_socket() {
    let mut controlled = Controlled::ready("-w 1");
    let before = controlled.running.process().pid();
    let (code, line) = controlled.ctl("upgrade");
    assert_eq!(code, Some(0), "{line}");
    controlled.running.exit();
    let status = controlled.connect().ask(r#"{"command":"status"}"#);
    assert_ne!(status["status"]["pid"], before);
    assert_eq!(controlled.ctl("stop").0, Some(0));
    wait_until("the file goes", || !controlled.socket().exists());
}

#[test]
fn the_status_is_a_table_or_a_line() {
    let controlled = Controlled::ready("-w 2");
    let (code, table) = controlled.ctl("status");
    assert_eq!(code, Some(0));
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 7, "{table}");
    assert!(lines[0].starts_with(&format!("pid {}  ", controlled.running.process().pid())));
    assert!(lines[2].starts_with("probe  http://127.0.0.1:"), "{table}");
    assert!(lines[3].trim_start().starts_with("SLOT "), "{table}");
    assert!(lines[6].starts_with("total "), "{table}");

    let (code, line) = controlled.ctl("status --json");
    assert_eq!(code, Some(0));
    let response: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(response["status"]["servers"][0]["workers"][1]["slot"], 1);
}

#[test]
fn top_looks_again_and_again() {
    let controlled = Controlled::ready("-w 1");
    let mut top = controlled.ctl_program("top --interval 0.1").start();
    let mut lines = BufReader::new(top.stdout()).lines().map(Result::unwrap);
    let pid = format!("pid {}  ", controlled.running.process().pid());
    for _ in 0..3 {
        assert!(lines.any(|line| line.starts_with(&pid)));
    }
    controlled.running.signal(Signal::QUIT);
    assert!(lines.any(|line| line.starts_with("error: ")));
}

#[test]
fn the_command_says_what_to_do() {
    let (code, line) = ctl("status").run();
    assert_eq!(code, Some(2));
    assert!(
        line.starts_with("error: no control socket given; "),
        "{line}"
    );

    let directory = tempfile::tempdir().unwrap();
    let socket = socket(&directory);
    let status = || {
        ctl("status")
            .env("TOWER_PREFORK_CONTROL_SOCKET", &socket)
            .run()
    };
    let (code, line) = status();
    assert_eq!(code, Some(1));
    assert!(
        line.starts_with("error: there is no control socket at "),
        "{line}"
    );
    drop(UnixListener::bind(&socket).unwrap());
    let (code, line) = status();
    assert_eq!(code, Some(1));
    assert!(line.starts_with("error: connection refused at "), "{line}");

    // Options of the server do not make it a server.
    let (code, line) = ctl("status").env("TOWER_PREFORK_WORKERS", "2").run();
    assert_eq!(code, Some(2), "{line}");
    let (code, help) = ctl("--help").run();
    assert_eq!(code, Some(0));
    for command in [
        "status", "top", "reload", "scale", "restart", "upgrade", "stop",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn the_status_counts_upgraded_connections() {
    let controlled = Controlled::ready("-w 1");
    let count = |now: usize, total: usize| {
        wait_until("the count of upgraded connections", || {
            let worker = &controlled.workers()[0];
            worker["upgraded"] == now && worker["upgraded_total"] == total
        });
    };
    let open = || WebSocketClient::open(controlled.running.client(), "/ws");
    let sockets = [open(), open(), open()];
    count(3, 3);
    let worker = &controlled.workers()[0];
    assert_eq!(
        (&worker["connections"], &worker["in_flight"]),
        (&json!(3), &json!(0))
    );
    let (_, table) = controlled.ctl("status");
    assert!(table.contains("  UPGRADED  "), "{table}");
    sockets.into_iter().for_each(WebSocketClient::close);
    count(0, 3);
}
