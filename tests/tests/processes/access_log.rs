use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Client, PATIENCE, Program, Running, Signal};

use crate::probe;

/// A server that logs to a file, which it need not create.
struct Logged {
    directory: TempDir,
    running: Running,
}

impl Logged {
    fn start(arguments: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let running = with_log(arguments, &directory.path().join("access.log")).start();
        Self { directory, running }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    /// Waits for this many lines.
    fn lines(&self, count: usize) -> Vec<String> {
        wait_for_lines(&self.path(), count)
    }

    /// Stops the server, and returns the lines of its log.
    fn lines_at_the_end(mut self) -> Vec<String> {
        self.running.signal(Signal::TERM);
        assert_eq!(self.running.exit().code(), Some(0));
        lines(&self.path())
    }
}

fn with_log(arguments: &str, path: &Path) -> Program {
    probe(arguments).arg("--access-log").arg(path)
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "whole lines");
    text.lines().map(str::to_owned).collect()
}

fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // A reader may see a part of what is being written.
        if lines.len() >= count && text.ends_with('\n') {
            return lines;
        }
        assert!(started.elapsed() < PATIENCE, "{lines:?}");
        thread::yield_now();
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The line without its time, which must look like one.
fn timeless(line: &str) -> String {
    let (before, rest) = line.split_once('[').unwrap();
    let (time, after) = rest.split_once(']').unwrap();
    let shape: String = time
        .chars()
        .map(|char| match char {
            '0'..='9' => '9',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(shape, "99/Aaa/9999:99:99:99 +9999", "{line}");
    format!("{before}[]{after}")
}

const REQUEST: &str = "GET /bytes/7?a=%22 HTTP/1.1\r\nhost: test\r\nauthorization: Basic YW5uOnNlY3JldA==\r\n\
     referer: http://a/\"b\r\nuser-agent: probe 1\\2\r\n\r\n";

#[test]
fn apaches_formats() {
    let common = r#"127.0.0.1 - ann [] "GET /bytes/7?a=%22 HTTP/1.1" 200 7"#;
    let combined = format!(r#"{common} "http://a/\"b" "probe 1\\2""#);
    for (arguments, expected) in [
        ("-w 2 --access-log-format common", common),
        ("-w 2 --access-log-format combined", &combined),
        ("-w 1", &combined),
        ("-w 0", &combined),
    ] {
        let logged = Logged::start(arguments);
        let mut client = logged.running.client();
        client.send(REQUEST).unwrap();
        assert_eq!(client.response().unwrap().body, b"xxxxxxx");
        // While the server runs, and the connection is open.
        let lines = logged.lines(1);
        assert_eq!(lines.len(), 1);
        assert_eq!(timeless(&lines[0]), expected, "{arguments}");
        assert_eq!(logged.lines_at_the_end(), lines);
    }
}

#[test]
fn json_lines() {
    let logged = Logged::start("-w 1 --access-log-format json");
    let mut client = logged.running.client();
    client.send(REQUEST).unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    let pid: i32 = client.get("/sleep/100").unwrap().text().parse().unwrap();
    let lines = logged.lines_at_the_end();
    assert_eq!(lines.len(), 2);
    let mut line = json(&lines[0]);
    assert!(line["time"].take().as_str().unwrap().ends_with('Z'));
    assert!(line["duration_us"].take().is_u64());
    assert_eq!(
        line,
        serde_json::json!({
            "time": null, "remote": "127.0.0.1", "user": "ann", "method": "GET",
            "target": "/bytes/7?a=%22", "version": "HTTP/1.1", "host": "test",
            "referer": "http://a/\"b", "user_agent": "probe 1\\2", "status": 200, "bytes": 7,
            "duration_us": null, "aborted": false, "slot": 0, "pid": pid,
        })
    );
    assert!(json(&lines[1])["duration_us"].as_u64().unwrap() >= 100_000);
}

#[test]
fn the_environment_and_standard_output() {
    let program = probe("-w 2")
        .env("TOWER_PREFORK_ACCESS_LOG", "-")
        .env("TOWER_PREFORK_ACCESS_LOG_FORMAT", "json");
    let mut running = program.start();
    let address = running.ready();
    // All workers write to one pipe.
    let stdout = BufReader::new(running.stdout());
    let reader = thread::spawn(|| stdout.lines().map(Result::unwrap).collect::<Vec<_>>());
    let count = 40;
    for number in 0..count {
        let path = format!("/{}?{number}", "x".repeat(3000));
        assert_eq!(Client::connect(address).get(&path).unwrap().status, 404);
    }
    running.signal(Signal::TERM);
    let lines = reader.join().unwrap();
    assert_eq!(lines.len(), count);
    for line in lines {
        assert!(line.len() < 4096);
        let target = json(&line)["target"].as_str().unwrap().to_owned();
        assert!(
            target.starts_with("/xxx") && target.ends_with("x..."),
            "{target}"
        );
    }
}

#[test]
fn a_unix_socket_has_no_address() {
    let directory = tempfile::tempdir().unwrap();
    let (socket, log) = (directory.path().join("s"), directory.path().join("log"));
    let program = with_log(&format!("-w 1 -b unix:{}", socket.display()), &log);
    let running = program.start();
    running.wait_for(" ready ");
    let mut client = Client::connect_unix(&socket).unwrap();
    assert_eq!(client.get("/name").unwrap().status, 200);
    let lines = wait_for_lines(&log, 1);
    assert_eq!(
        timeless(&lines[0]),
        r#"unix - - [] "GET /name HTTP/1.1" 200 5 "-" "-""#
    );
}

#[test]
fn a_client_that_leaves() {
    let logged = Logged::start("-w 2 --access-log-format json");
    let address = logged.running.ready();
    let mut early = Client::connect(address);
    early
        .send("GET /sleep/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    early.reset();
    let early = json(&logged.lines(1)[0]);
    assert_eq!(early["target"], "/sleep/100000");
    assert_eq!(early["status"], 499);
    assert_eq!(early["aborted"], true);

    // More than sockets hold; the head has come, so the response has begun.
    let size = 256 << 20;
    let mut late = Client::connect(address);
    late.send(format!("GET /bytes/{size} HTTP/1.1\r\nhost: test\r\n\r\n"))
        .unwrap();
    assert_eq!(late.head().unwrap().0, 200);
    assert_eq!(logged.lines(1).len(), 1, "not before its end");
    drop(late);
    let late = json(&logged.lines(2)[1]);
    assert_eq!(late["status"], 200);
    assert_eq!(late["aborted"], true);
    let bytes = late["bytes"].as_u64().unwrap();
    assert!(0 < bytes && bytes < size, "{bytes}");
}

#[test]
fn a_request_that_is_refused() {
    let logged = Logged::start("-w 1 --header-timeout 0.1");
    let address = logged.running.ready();
    for (request, status) in [
        ("GET /a HTTP/1.1\r\n\r\n", 400),
        ("GET /b HTTP/1.1\r\nhost: a\r\nexpect: b\r\n\r\n", 417),
        ("no request\r\n\r\n", 400),
        ("GET /c", 408),
    ] {
        let mut client = Client::connect(address);
        client.send(request).unwrap();
        assert_eq!(client.response().unwrap().status, status);
    }
    let lines = logged.lines_at_the_end();
    let lines: Vec<_> = lines.iter().map(|line| timeless(line)).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, expected) in lines.iter().zip([
        r#"127.0.0.1 - - [] "GET /a HTTP/1.1" 400 "#,
        r#"127.0.0.1 - - [] "GET /b HTTP/1.1" 417 "#,
        r#"127.0.0.1 - - [] "no request" 400 "#,
        r#"127.0.0.1 - - [] "GET /c" 408 "#,
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn a_file_that_was_renamed_is_created_anew() {
    let logged = Logged::start("-w 2");
    let address = logged.running.ready();
    let mut client = Client::connect(address);
    assert_eq!(client.get("/before").unwrap().status, 404);
    let old = logged.directory.path().join("access.log.1");
    logged.lines(1);
    fs::rename(logged.path(), &old).unwrap();
    let started = Instant::now();
    let mut sent = 1;
    while lines(&logged.path()).is_empty() {
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(client.get("/after").unwrap().status, 404);
        sent += 1;
    }
    // Nothing is lost on the way from one to the other.
    let new = logged.path();
    while lines(&old).len() + lines(&new).len() < sent {
        assert!(started.elapsed() < PATIENCE);
        thread::yield_now();
    }
    assert!(lines(&old)[0].contains("/before"));
}

#[test]
fn workers_write_whole_lines_into_one_file_and_all_of_them_before_they_end() {
    let logged = Logged::start("-w 4 --access-log-format json");
    let address = logged.running.ready();
    let (threads, requests) = (8, 250);
    thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for request in 0..requests {
                    let mut client = Client::connect(address);
                    let path = format!("/{thread}/{request}/{}", "x".repeat(5000));
                    assert_eq!(client.get(&path).unwrap().status, 404);
                }
            });
        }
    });
    let lines = logged.lines_at_the_end();
    let lines: Vec<_> = lines.iter().map(|line| json(line)).collect();
    let mut targets: Vec<_> = lines.iter().map(|line| line["target"].as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), threads * requests);
    let mut slots: Vec<_> = lines.iter().map(|line| line["slot"].as_u64()).collect();
    slots.sort_unstable();
    slots.dedup();
    assert!(slots.len() > 1, "several of them wrote");
}

#[test]
fn what_the_deadline_of_a_stop_cuts_is_logged() {
    for workers in [1, 0] {
        let logged = Logged::start(&format!("-w {workers} --graceful-timeout 0.1"));
        let mut client = logged.running.client();
        client
            .send("GET /sleep/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        let mut other = logged.running.client();
        assert_eq!(other.get("/name").unwrap().status, 200);
        let lines = logged.lines_at_the_end();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains(r#""GET /sleep/100000 HTTP/1.1" 499 - "#));
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_of_the_start() {
    for workers in [2, 0] {
        let program = with_log(&format!("-w {workers}"), Path::new("/nonexistent/log"));
        let (code, output) = program.run();
        assert_eq!(code, Some(1));
        assert_eq!(
            output,
            "error: probe: cannot open the access log /nonexistent/log: No such file or directory \
             (os error 2); choose a file that this user may write"
        );
    }
}

#[test]
fn a_disk_that_is_full_stops_nothing() {
    let running = with_log("-w 1", Path::new("/dev/full")).start();
    let mut client = running.client();
    for _ in 0..3 {
        assert_eq!(client.get("/name").unwrap().status, 200);
    }
    running.wait_for("cannot write the access log; trying again until it works");
    assert_eq!(client.get("/name").unwrap().status, 200);
    running.signal(Signal::TERM);
    running.wait_for("lines of the access log were dropped");
    let reports = running.wait_for_count("cannot write the access log", 1);
    assert_eq!(reports.len(), 1);
}
