//! Upgraded connections: axum's WebSocket and hyper-tungstenite, and how they end with their worker.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::{Certificate, Client, PATIENCE, Running, Signal, WebSocketClient, wait_until};

use crate::probe;

const PATHS: [&str; 2] = ["/ws", "/ws/tungstenite"];

/// Going away.
const GOING_AWAY: u16 = 1001;

fn open(address: SocketAddr) -> WebSocketClient {
    WebSocketClient::open(Client::connect(address), "/ws")
}

/// Echoes of many sizes, and a close by either side.
fn use_both_sides(connect: impl Fn() -> Client) {
    for path in PATHS {
        let mut socket = WebSocketClient::open(connect(), path);
        for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let text = "x".repeat(length);
            assert_eq!(socket.ask(&text), Ok(text));
        }
        socket.close();
        let mut socket = WebSocketClient::open(connect(), path);
        socket.send("bye");
        assert_eq!(socket.closed(), 1005, "{path}");
    }
}

#[test]
fn echo_and_close_over_tcp_tls_and_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let path = directory.path().join("socket");
    for (workers, tls) in [(2, false), (1, true), (0, true)] {
        let tls = if tls {
            certificate.write(directory.path())
        } else {
            String::new()
        };
        let socket = path.display();
        let arguments = format!("-w {workers} -b 127.0.0.1:0 -b unix:{socket} {tls}");
        let mut running = probe(&arguments).start();
        let address = running.ready();
        if tls.is_empty() {
            use_both_sides(|| Client::connect(address));
        } else {
            use_both_sides(|| Client::connect_tls(address, &certificate.trusted()).unwrap());
        }
        use_both_sides(|| Client::connect_unix(&path).unwrap());
        // Each service has seen each end.
        for kind in ["axum", "tungstenite"] {
            let _ = running.wait_for_count(&format!("websocket ended kind={kind}"), 4);
        }
        let mut last = vec![WebSocketClient::open(
            Client::connect_unix(&path).unwrap(),
            "/ws",
        )];
        if !tls.is_empty() {
            let client = Client::connect_tls(address, &certificate.trusted()).unwrap();
            last.push(WebSocketClient::open(client, "/ws"));
        }
        running.signal(Signal::TERM);
        for socket in last {
            assert_eq!(socket.closed(), GOING_AWAY);
        }
        assert_eq!(running.exit().code(), Some(0));
    }
}

#[test]
fn at_a_stop_each_client_gets_1001_and_each_service_sees_the_end() {
    let mut running = probe("-w 1").start();
    let address = running.ready();
    let mut sockets: Vec<_> = PATHS
        .iter()
        .map(|path| WebSocketClient::open(Client::connect(address), path))
        .collect();
    for socket in &mut sockets {
        assert_eq!(socket.ask("a"), Ok("a".into()));
    }
    running.signal(Signal::TERM);
    for socket in sockets {
        assert_eq!(socket.closed(), GOING_AWAY);
    }
    assert_eq!(running.exit().code(), Some(0));
    for kind in ["axum", "tungstenite"] {
        running.wait_for(&format!("websocket ended kind={kind}"));
    }
    let log = running.log().join("\n");
    assert!(!log.contains("deadline reached"), "{log}");
}

#[test]
fn a_client_that_does_not_close_is_cut_at_the_deadline() {
    let mut running = probe("-w 1 --graceful-timeout 1").start();
    let mut socket = open(running.ready());
    running.signal(Signal::TERM);
    let line = &running.wait_for_count("deadline reached", 1)[0];
    assert!(line.contains("upgraded=1 requests=0"), "{line}");
    assert_eq!(running.exit().code(), Some(0));
    // The close frame, and the end.
    assert_eq!(socket.client().rest().unwrap(), b"\x88\x02\x03\xe9");
}

#[test]
fn a_worker_at_the_end_of_its_lifetime_tells_its_clients() {
    let running = probe("-w 1 --max-lifetime 2").start();
    let address = running.ready();
    for count in 1..=2 {
        assert_eq!(open(address).closed(), GOING_AWAY);
        let _ = running.wait_for_count("worker replaced", count);
    }
}

#[test]
fn the_death_of_a_worker_cuts_its_own_connections_only() {
    let running = probe("-w 2").start();
    let address = running.ready();
    let mut sockets: BTreeMap<String, Vec<WebSocketClient>> = BTreeMap::new();
    let end = Instant::now() + PATIENCE;
    while sockets.len() < 2 || sockets.values().map(Vec::len).sum::<usize>() < 10 {
        assert!(Instant::now() < end, "one worker has all connections");
        let mut socket = open(address);
        let pid = socket.ask("pid").unwrap();
        sockets.entry(pid).or_default().push(socket);
    }
    let workers = running.workers();
    let dead = workers.first().expect("two workers");
    dead.signal(Signal::KILL);
    for (pid, sockets) in &mut sockets {
        for socket in sockets {
            if *pid == dead.pid().to_string() {
                assert!(socket.is_cut());
            } else {
                assert_eq!(socket.ask("pid").as_ref(), Ok(pid));
            }
        }
    }
}

#[test]
fn beyond_max_upgraded_there_is_a_503_and_room_for_requests() {
    let running = probe("-w 1 --max-upgraded 2").start();
    let address = running.ready();
    let first = open(address);
    let mut second = open(address);
    let Err(refused) = WebSocketClient::try_open(Client::connect(address), "/ws") else {
        panic!("it is accepted");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    running.wait_for("max_upgraded reached");
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    assert_eq!(second.ask("a"), Ok("a".into()));
    first.close();
    wait_until("room for another", || {
        WebSocketClient::try_open(Client::connect(address), "/ws").is_ok()
    });
}

#[test]
fn a_silent_client_is_asked_and_cut() {
    let running = probe("-w 1 --upgrade-idle-timeout 1").start();
    let mut silent = open(running.ready());
    assert_eq!(silent.client().rest().unwrap(), b"\x89\x00");
}

#[test]
fn the_access_log_has_the_handshake_and_the_end() {
    for (format, expected) in [
        (
            "combined",
            "\"GET /ws websocket\" 101 3 \"-\" \"-\" received=15 duration=",
        ),
        ("json", "\"version\":\"websocket\",\"host\":\"test\""),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let running = probe(&format!("-w 1 --access-log-format {format}"))
            .arg("--access-log")
            .arg(&path)
            .start();
        let mut socket = open(running.ready());
        let lines = |count: usize| {
            let read = || fs::read_to_string(&path).unwrap_or_default();
            wait_until("lines in the access log", || {
                read().lines().count() == count
            });
            read()
        };
        let handshake = lines(1);
        assert!(handshake.contains("HTTP/1.1"), "{handshake}");
        assert!(handshake.contains("101"), "{handshake}");
        assert_eq!(socket.ask("a"), Ok("a".into()));
        // The server's close frame is not the service's.
        running.signal(Signal::HUP);
        assert_eq!(socket.closed(), GOING_AWAY);
        let text = lines(2);
        let end = text.lines().last().unwrap();
        assert!(end.contains(expected), "{end}");
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(end).unwrap();
            assert_eq!(line["status"], 101);
            assert_eq!((&line["bytes"], &line["received"]), (&3.into(), &15.into()));
            assert_eq!(line["aborted"], false);
        }
    }
}

/// As many as the limit of open files allows, up to 1000.
fn many() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, raised);
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < 4096 => 200,
        _ => 1000,
    }
}

/// Opens one WebSocket after another until `is_over`. Each is accepted, and works or gets 1001. Returns how many worked.
fn open_until(address: SocketAddr, is_over: &AtomicBool) -> usize {
    let mut worked = 0;
    while !is_over.load(Relaxed) {
        let mut socket = open(address);
        match socket.ask("a") {
            Ok(text) => {
                assert_eq!(text, "a");
                worked += 1;
                socket.close();
            }
            Err(code) => assert_eq!(code, GOING_AWAY),
        }
    }
    worked
}

fn reload_with_open_connections(running: &Running, address: SocketAddr, count: usize) {
    let sockets: Vec<_> = (0..count).map(|_| open(address)).collect();
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        let opened = scope.spawn(|| open_until(address, &is_over));
        running.signal(Signal::HUP);
        for socket in sockets {
            assert_eq!(socket.closed(), GOING_AWAY);
        }
        running.wait_for("reloaded");
        let _ = running.wait_for_count("retired worker ended", 2);
        is_over.store(true, Relaxed);
        assert!(opened.join().unwrap() > 0);
    });
    println!("{count} were closed within {:?}", started.elapsed());
}

#[test]
fn at_a_reload_each_of_a_thousand_gets_1001_and_none_is_reset() {
    let count = many();
    let running = probe("-w 2 --max-connections 4096 --max-upgraded 4000").start();
    let address = running.ready();
    reload_with_open_connections(&running, address, count);
    let log = running.log().join("\n");
    assert!(!log.contains("deadline reached"), "{log}");
}
