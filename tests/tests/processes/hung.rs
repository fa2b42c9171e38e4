//! Jobs that never end, on threads that cannot be interrupted.

use std::time::Instant;

use tests::{Client, PATIENCE, Running};

use crate::{field, probe};

const FOR_AN_HOUR: &str = "GET /work/3600000?why=not HTTP/1.1\r\nhost: test\r\n\r\n";

/// This many clients that each wait for an hour.
fn hang(running: &Running, count: usize) -> Vec<Client> {
    let address = running.ready();
    let clients = (0..count).map(|_| {
        let mut client = Client::connect(address);
        client.send(FOR_AN_HOUR).unwrap();
        client
    });
    clients.collect()
}

/// More than the threads of all workers: the rest waits for a thread.
fn all_threads_hang(workers: usize) {
    let options = format!("-w {workers} --thread-workers 2 --request-timeout 2");
    let running = probe(&options).args("--graceful-timeout 5").start();
    let clients = hang(&running, workers * 6);
    let began = Instant::now();

    for mut client in clients {
        let response = client.response().unwrap();
        assert_eq!(response.status, 504);
        assert_eq!(response.header("connection"), Some("close"));
    }
    let _ = running.wait_for_count("worker replaced", workers);
    // The one that hangs may still accept for a moment after its successor is ready.
    let mut in_a_row = 0;
    while in_a_row < 20 * workers {
        let response = Client::connect(running.ready()).get("/work/0").unwrap();
        in_a_row = if response.status == 200 {
            in_a_row + 1
        } else {
            0
        };
        assert!(began.elapsed() < PATIENCE);
    }

    for line in running.wait_for_count("stuck job", workers) {
        assert_eq!(field(&line, "method"), "\"GET\"");
        assert_eq!(field(&line, "path"), "\"/work/3600000\"");
        assert!(field(&line, "thread").starts_with("\"blocking-"), "{line}");
        let age: f64 = field(&line, "age_s").parse().unwrap();
        assert!(age >= 2.0, "{line}");
    }
    let replaced = running.wait_for_count("replacing a worker", workers);
    for line in &replaced[..workers] {
        assert!(
            line.contains("a job has been on thread blocking-"),
            "{line}"
        );
        assert!(line.contains("GET /work/3600000"), "{line}");
    }
    let _ = running.wait_for_count("retired worker ended", workers);
}

#[test]
fn the_only_worker_whose_threads_all_hang_is_replaced() {
    all_threads_hang(1);
}

#[test]
fn two_workers_whose_threads_all_hang_are_replaced() {
    all_threads_hang(2);
}

#[test]
fn siblings_serve_meanwhile() {
    let running = probe("-w 2 --thread-workers 2 --request-timeout 2 --slow-start 3000").start();
    let first = Client::connect(running.ready()).get("/").unwrap().text();
    // Both threads of one worker.
    let mut stuck = Vec::new();
    while stuck.len() < 2 {
        let mut client = Client::connect(running.ready());
        if client.get("/").unwrap().text() == first {
            client.send(FOR_AN_HOUR).unwrap();
            stuck.push(client);
        }
    }
    for client in &mut stuck {
        assert_eq!(client.response().unwrap().status, 504);
    }
    running.wait_for("stuck job");
    // The other one is not held up by the start of the replacement, which takes 3 s.
    let responses = (0..20).map(|_| Client::connect(running.ready()).get("/work/0").unwrap());
    let pids: Vec<_> = responses.map(|response| response.text()).collect();
    assert!(
        !running
            .log()
            .iter()
            .any(|line| line.contains("worker replaced")),
        "too slow"
    );
    assert!(pids.iter().all(|pid| *pid != first), "{pids:?}");
    running.wait_for("worker replaced");
}

#[test]
fn without_workers_the_log_tells_of_it() {
    let running = probe("-w 0 --thread-workers 1 --request-timeout 1").start();
    let mut stuck = hang(&running, 1);
    assert_eq!(stuck[0].response().unwrap().status, 504);
    running.wait_for("stuck job");
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

/// A client waits for it.
#[test]
fn a_body_that_is_long_in_the_making_does_not_hang() {
    let running = probe("-w 1 --thread-workers 2 --request-timeout 1").start();
    let mut reader = running.client();
    let slow = "GET /trickle/3000 HTTP/1.1\r\nhost: test\r\n\r\n";
    reader.send(slow).unwrap();
    assert_eq!(reader.response().unwrap().status, 200);
    let log = running.log();
    assert!(
        !log.iter().any(|line| line.contains("stuck job")),
        "{log:?}"
    );
}
