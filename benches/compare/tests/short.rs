//! The short form of the comparison, for every day: the Rust servers respond, and a run of few rows writes its results.
//! The Python servers need not be there.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const HYPER: &str = env!("CARGO_BIN_EXE_hyper-server");
const AXUM: &str = env!("CARGO_BIN_EXE_axum-server");
const TOWER: &str = env!("CARGO_BIN_EXE_tower-server");
const AUTO: &str = env!("CARGO_BIN_EXE_auto-server");
const PREFORK: &str = env!("CARGO_BIN_EXE_prefork-server");

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_rust_server_says_hello() {
    let servers = [
        (AUTO, ""),
        (HYPER, ""),
        (AXUM, "serve 2"),
        (AXUM, "spawn-blocking 4"),
        (TOWER, "handler 1"),
        (TOWER, "blocking 4"),
        (PREFORK, "1"),
        (TOWER, "router 2"),
    ];
    for (program, arguments) in servers {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let server = Command::new(program)
            .args(arguments.split_whitespace())
            .arg(address.port().to_string())
            .spawn();
        let _server = Server(server.expect("it starts"));
        let response = response(address).unwrap_or_else(|error| format!("no response: {error}"));
        let is_right = response.starts_with("HTTP/1.1 200") && response.ends_with("Hello, world!");
        assert!(is_right, "{program} {arguments}: {response}");
    }
}

/// Of a server that is about to listen.
fn response(address: SocketAddr) -> io::Result<String> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            // Nothing tells when another process begins to listen.
            Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("nobody listens: {error}"),
        }
    };
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request)?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

fn compare(results: &Path, arguments: &[&str]) -> String {
    let rust = Path::new(TOWER).parent().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .arg("--rust")
        .arg(rust)
        .args(["--python", "/nowhere", "--logs"])
        .arg(results.join("logs"))
        .arg("--results")
        .arg(results)
        .args(["--rounds", "1"])
        .args(arguments)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(results.join("rounds.csv"));
    text.expect("there are results")
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_others_are_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let rounds = compare(directory.path(), &["--row", "15", "--row", "16"]);
    let line = |begin: &str| rounds.lines().find(|line| line.starts_with(begin));
    let ours = line("16,\"start to first response, 4 workers, Rust\",free,tower-prefork,1,");
    assert!(ours.is_some(), "{rounds}");
    let missing = line("15,an idle worker in Python,pinned,gunicorn gthread,0,");
    let missing = missing.expect("it is named");
    assert!(missing.contains("it does not start: "), "{missing}");

    // What another row has measured stays.
    let rounds = compare(directory.path(), &["--row", "15"]);
    assert!(rounds.contains("\n16,"), "{rounds}");
    let table = fs::read_to_string(directory.path().join("results.md")).expect("a table");
    assert!(table.contains("| 15 | an idle worker in Rust |"), "{table}");
    let method = fs::read_to_string(directory.path().join("README.md")).expect("a text");
    assert!(method.contains("`prefork-server 4 PORT`"), "{method}");
}

#[test]
fn the_load_counts_requests_and_processor_time() {
    if Command::new("wrk").arg("--version").output().is_err() {
        return tests::skip("wrk is not installed");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let rounds = compare(directory.path(), &["--row", "1"]);
    let lines = rounds.lines().filter(|line| line.contains(",free,"));
    let servers: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(servers.len(), 2, "{rounds}");
    for server in servers {
        // `row,case,mode,server,round,requests_per_second,…`; the name of this case has commas.
        let [
            ..,
            "free",
            _,
            "1",
            rate,
            cpu,
            _,
            _,
            _,
            errors,
            load_busy,
            stolen,
            _,
            _,
            "64",
            "0",
            "",
            "",
            "",
        ] = server[..]
        else {
            panic!("{server:?}");
        };
        assert!(rate.parse::<f64>().is_ok_and(|rate| rate > 0.0), "{rate}");
        assert!(cpu.parse::<f64>().is_ok_and(|cpu| cpu > 0.0), "{cpu}");
        assert_eq!(errors, "0");
        assert!(stolen.parse::<f64>().is_ok_and(|stolen| stolen < 1.0));
        assert!(load_busy.parse::<f64>().is_ok_and(|busy| busy > 0.0));
    }
}

#[test]
fn the_load_counts_handshakes() {
    let directory = tempfile::tempdir().expect("a directory");
    let rounds = compare(directory.path(), &["--row", "22"]);
    for server in ["tower-prefork", "\"hyper, auto\""] {
        let mut lines = rounds.lines();
        let begin = format!("22,\"TLS handshakes, Rust\",pinned,{server},1,");
        let rest = lines.find_map(|line| line.strip_prefix(&begin));
        let rate = rest.and_then(|rest| rest.split(',').next());
        let rate = rate.and_then(|rate| rate.parse::<f64>().ok());
        assert!(rate.is_some_and(|rate| rate > 0.0), "{rounds}");
    }
}

#[test]
fn the_load_counts_messages_and_the_memory_of_idle_sockets() {
    let directory = tempfile::tempdir().expect("a directory");
    let rounds = compare(directory.path(), &["--row", "19"]);
    let lines = csv::Reader::from_reader(rounds.as_bytes()).into_deserialize();
    let lines: Vec<HashMap<String, String>> = lines.collect::<Result<_, _>>().expect("a table");
    let number = |line: &HashMap<String, String>, name| line[name].parse::<f64>().unwrap_or(-1.0);
    for server in ["tower-prefork", "axum::serve"] {
        let of = |case: &str, mode| {
            let mut found = lines.iter().filter(|line| line["case"].ends_with(case));
            found.find(|line| line["server"] == server && line["mode"] == mode)
        };
        let echo = of("echo", "free").expect("it is measured");
        assert!(number(echo, "requests_per_second") > 0.0, "{rounds}");
        assert_eq!(
            [&echo["errors"], &echo["unserved"], &echo["note"]],
            ["0", "0", ""]
        );
        let idle = of("axum's `ws`", "pinned").expect("it is measured");
        assert_eq!([&idle["connections"], &idle["note"]], ["1000", ""]);
        assert!(number(idle, "bytes_per_connection") >= 0.0, "{rounds}");
    }
    let table = fs::read_to_string(directory.path().join("results.md")).expect("a table");
    assert!(table.contains("| server | messages/s |"), "{table}");
}
