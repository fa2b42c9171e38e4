use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use tests::{Client, Signal};

use crate::probe;

fn send(address: std::net::SocketAddr, request: &str) -> Client {
    let mut client = Client::connect(address);
    client
        .send(format!("{request} HTTP/1.1\r\nhost: test\r\n\r\n"))
        .unwrap();
    client
}

#[test]
fn requests_in_flight_are_completed() {
    for (workers, signal) in [(4, Signal::TERM), (4, Signal::INT), (0, Signal::TERM)] {
        let mut running = probe(&format!("-w {workers}")).start();
        let address = running.ready();
        let mut idle = Client::connect(address);
        assert_eq!(idle.get("/").unwrap().status, 200);
        let clients: Vec<_> = (0..40).map(|_| send(address, "GET /sleep/1000")).collect();
        // Some are running, some may still wait in the kernel's queue: all count.
        running.signal(signal);
        running.wait_for("stopping");
        for mut client in clients {
            let response = client.response().expect("a response");
            assert_eq!(response.status, 200);
            assert_eq!(response.header("connection"), Some("close"));
        }
        assert_eq!(idle.rest().unwrap(), b"", "closed, not reset");
        assert_eq!(running.exit().code(), Some(0));
        let refused = Client::try_connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(!running.log().join(" ").contains("cut"));
    }
}

#[test]
fn new_connections_are_refused_while_it_drains() {
    let mut running = probe("-w 2").start();
    let address = running.ready();
    let mut client = send(address, "GET /sleep/4000");
    let mut other = Client::connect(address);
    assert_eq!(other.get("/").unwrap().status, 200);
    running.signal(Signal::TERM);
    // Idle connections are closed when the workers drain.
    assert_eq!(other.rest().unwrap(), b"");
    let refused = loop {
        match Client::try_connect(address) {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!client.has_response(), "refused only at the end");
    assert_eq!(client.response().unwrap().status, 200);
    assert_eq!(running.exit().code(), Some(0));
}

#[test]
fn the_deadline_holds_against_a_stalled_upload() {
    for workers in [2, 0] {
        let arguments = format!("-w {workers} --graceful-timeout 1");
        let mut running = probe(&arguments).start();
        let address = running.ready();
        let mut stalled = Client::connect(address);
        stalled
            .send("POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf")
            .unwrap();
        let mut other = Client::connect(address);
        assert_eq!(other.get("/").unwrap().status, 200);
        let started = Instant::now();
        running.signal(Signal::TERM);
        assert_eq!(running.exit().code(), Some(0));
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(1), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        running.wait_for("requests were cut before they completed requests=1");
    }
}

#[test]
fn the_deadline_holds_against_a_stuck_event_loop() {
    for workers in [1, 0] {
        let arguments = format!("-w {workers} --graceful-timeout 1");
        let mut running = probe(&arguments).start();
        let mut stuck = send(running.ready(), "GET /block/100000");
        running.wait_for("blocking the event loop");
        let started = Instant::now();
        running.signal(Signal::TERM);
        assert_eq!(running.exit().code(), Some(0));
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(stuck.response().is_err());
        running.wait_for("requests were cut before they completed requests=1");
    }
}

#[test]
fn the_second_signal_and_sigquit_end_it_at_once() {
    for workers in [2, 0] {
        for (first, second) in [
            (Signal::TERM, Some(Signal::TERM)),
            (Signal::INT, Some(Signal::INT)),
            (Signal::QUIT, None),
        ] {
            let mut running = probe(&format!("-w {workers}")).start();
            let address = running.ready();
            let mut client = send(address, "GET /sleep/100000");
            let mut other = Client::connect(address);
            assert_eq!(other.get("/").unwrap().status, 200);
            let worker_processes = running.workers();
            running.signal(first);
            if let Some(second) = second {
                running.wait_for("stopping");
                running.signal(second);
            }
            assert_eq!(running.exit().code(), Some(0));
            assert!(client.response().is_err());
            for worker in worker_processes {
                assert!(worker.ends_within(Duration::ZERO));
            }
        }
    }
}

#[test]
fn a_stop_during_the_start() {
    let mut running = probe("-w 2 --slow-start 100000").start();
    while running.workers().len() < 2 {
        std::thread::yield_now();
    }
    running.signal(Signal::TERM);
    let status = running.exit();
    // Before its handlers are there, the signal ends the supervisor by itself.
    assert!(status.code() == Some(0) || status.code().is_none());
}

#[test]
fn a_signal_for_the_whole_group_of_processes_is_no_second_one() {
    // As systemd sends it.
    let mut running = probe("-w 2").start();
    let address = running.ready();
    let mut client = send(address, "GET /sleep/1000");
    let mut other = Client::connect(address);
    assert_eq!(other.get("/").unwrap().status, 200);
    let workers = running.workers();
    running.signal(Signal::TERM);
    for worker in &workers {
        worker.signal(Signal::TERM);
    }
    assert_eq!(client.response().unwrap().status, 200);
    assert_eq!(running.exit().code(), Some(0));
}
