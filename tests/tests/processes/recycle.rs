//! Workers that are replaced because they have done enough.

use std::{thread, time::Instant};

use tests::{Client, PATIENCE};

use crate::{field, probe};

#[test]
fn a_worker_is_replaced_after_so_many_requests_and_none_fails() {
    let running = probe("-w 2 --max-requests 100").start();
    let address = running.ready();
    let end = Instant::now() + PATIENCE;
    let is_over = || {
        let replaced = |line: &&String| line.contains("worker replaced");
        let count = running.log().iter().filter(replaced).count();
        assert!(Instant::now() < end, "{count} workers were replaced");
        count >= 6
    };
    thread::scope(|scope| {
        let fresh = scope.spawn(|| {
            while !is_over() {
                assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
            }
        });
        let kept = scope.spawn(|| {
            let mut client = Client::connect(address);
            while !is_over() {
                let response = client.get("/").unwrap();
                assert_eq!(response.status, 200);
                if response.header("connection") == Some("close") {
                    client = Client::connect(address);
                }
            }
        });
        fresh.join().unwrap();
        kept.join().unwrap();
    });
    for line in running.wait_for_count("replacing a worker", 6) {
        let (_, reason) = line.split_once("max_requests: it has had ").unwrap();
        let count: u64 = reason.split(' ').next().unwrap().parse().unwrap();
        assert!((90..=110).contains(&count), "{line}");
        assert!(!field(&line, "pid").is_empty());
    }
}
