use std::{collections::BTreeSet, net::SocketAddr, time::Instant};

use tests::{Client, Signal};

use crate::{probe, wait_until, workers_become};

fn readiness(address: SocketAddr) -> (u16, String) {
    let response = Client::connect(address).get("/ready").unwrap();
    assert_eq!(response.header("cache-control"), Some("no-store"));
    (response.status, response.text())
}

/// Waits until all workers know of the stop: they end each connection.
fn all_have_heard(address: SocketAddr, workers: usize) {
    let mut heard = BTreeSet::new();
    wait_until("all workers hear of the stop", || {
        let response = Client::connect(address).get("/").unwrap();
        if response.header("connection") == Some("close") {
            heard.insert(response.text());
        }
        heard.len() == workers.max(1)
    });
}

#[test]
fn the_path_responds_while_the_service_is_busy() {
    for workers in [1, 0] {
        let arguments = format!("-w {workers} --thread-workers 1 --readiness-path /ready");
        let running = probe(&arguments).start();
        let address = running.ready();
        let mut busy = Client::connect(address);
        busy.send("GET /sleep/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        let mut client = Client::connect(address);
        for target in ["/ready", "/ready?verbose"] {
            let response = client.get(target).unwrap();
            assert_eq!((response.status, response.text()), (200, "ready\n".into()));
            assert_eq!(response.header("connection"), None, "it stays open");
        }
        client
            .send("HEAD /ready HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        assert_eq!(client.head().unwrap().0, 200);

        // What else there is, is the service's.
        assert_eq!(client.get("/ready/").unwrap().status, 404);
        client
            .send("POST /ready HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        assert_eq!(client.response().unwrap().status, 404);
    }
    let running = probe("-w 1").start();
    assert_eq!(running.client().get("/ready").unwrap().status, 404);
}

#[test]
fn a_delayed_stop_serves_on_and_says_that_it_is_not_ready() {
    for workers in [2, 0] {
        let mut running = probe(&format!(
            "-w {workers} --shutdown-delay 1000 --readiness-path /ready"
        ))
        .start();
        let address = running.ready();
        assert_eq!(readiness(address), (200, "ready\n".into()));
        let mut kept = Client::connect(address);
        assert_eq!(kept.get("/").unwrap().status, 200);

        running.signal(Signal::TERM);
        running.wait_for("stopping after the delay");
        all_have_heard(address, workers);
        assert_eq!(readiness(address), (503, "stopping\n".into()));
        let response = kept.get("/").unwrap();
        let connection = response.header("connection");
        assert_eq!((response.status, connection), (200, Some("close")));
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);

        running.signal(Signal::HUP);
        running.wait_for("ignored");
        if workers > 0 {
            let holder = response.text();
            let other = running.workers().into_iter();
            let mut other = other.filter(|worker| worker.pid().to_string() != holder);
            other.next().unwrap().signal(Signal::KILL);
            running.wait_for("worker replaced");
            workers_become(&running, 2);
            all_have_heard(address, workers);
            assert_eq!(readiness(address).0, 503);
        }
        running.signal(Signal::TERM);
        running.wait_for("stopping at once");
        assert_eq!(running.exit().code(), Some(0));
    }
}

#[test]
fn a_delayed_stop_drains_after_the_delay() {
    for workers in [2, 0] {
        let mut running = probe(&format!("-w {workers} --shutdown-delay 0.5")).start();
        let address = running.ready();
        let mut client = Client::connect(address);
        client
            .send("GET /sleep/1500 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        let mut other = Client::connect(address);
        assert_eq!(other.get("/").unwrap().status, 200);
        let asked = Instant::now();
        running.signal(Signal::TERM);
        running.wait_for("running requests may finish");
        assert!(asked.elapsed().as_millis() >= 500);
        assert_eq!(client.response().unwrap().status, 200);
        assert_eq!(running.exit().code(), Some(0));
    }
}

#[test]
fn a_worker_that_is_replaced_stays_ready() {
    let running = probe("-w 1 --readiness-path /ready").start();
    let address = running.ready();
    let mut old = Client::connect(address);
    assert_eq!(old.get("/ready").unwrap().status, 200);
    running.signal(Signal::HUP);
    running.wait_for("worker replaced");
    wait_until("the last response of the old one", || {
        let response = old.get("/ready").unwrap();
        assert_eq!(response.status, 200);
        response.header("connection") == Some("close")
    });
}

#[test]
fn a_program_can_watch_its_phases() {
    for workers in [1, 0] {
        let arguments = format!("-w {workers} --shutdown-delay 0.5 --phases");
        let mut running = probe(&arguments).start();
        running.wait_for("phase Ready");
        let address = running.ready();
        if workers > 0 {
            running.signal(Signal::HUP);
            running.wait_for("phase Reloading");
            assert_eq!(running.wait_for_count("phase Ready", 2).len(), 2);
        }
        let mut client = Client::connect(address);
        client
            .send("GET /sleep/2000 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        running.signal(Signal::TERM);
        running.wait_for("phase Stopping");
        running.wait_for("phase Draining");
        assert_eq!(client.response().unwrap().status, 200);
        assert_eq!(running.exit().code(), Some(0));
    }
}
