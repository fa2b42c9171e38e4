use std::{collections::HashMap, thread, time::Instant};

use tests::Client;

use crate::probe;

#[test]
fn fresh_connections_spread_evenly() {
    let running = probe("-w 4").start();
    let address = running.ready();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..400 {
        let pid = Client::connect(address).get("/").unwrap().text();
        *counts.entry(pid).or_default() += 1;
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
    let near = 60..=140;
    assert!(
        counts.values().all(|count| near.contains(count)),
        "{counts:?}"
    );
}

#[test]
fn a_busy_worker_leaves_connections_to_its_siblings() {
    let running = probe("-w 2 --thread-workers 4").start();
    let address = running.ready();
    let long: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::connect(address);
            client
                .send("GET /sleep/1000 HTTP/1.1\r\nhost: test\r\n\r\n")
                .unwrap();
            client
        })
        .collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for mut client in long {
        *counts.entry(client.response().unwrap().text()).or_default() += 1;
    }
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!(counts.values().all(|count| *count >= 3), "{counts:?}");
}

#[test]
fn a_busy_server_still_answers_short_requests() {
    let running = probe("-w 1 --thread-workers 2").start();
    let address = running.ready();
    let started = Instant::now();
    let long = thread::spawn({
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let mut client = Client::connect(address);
                client
                    .send("GET /sleep/3000 HTTP/1.1\r\nhost: test\r\n\r\n")
                    .unwrap();
                client
            })
            .collect();
        move || {
            clients
                .into_iter()
                .all(|mut client| client.response().is_ok())
        }
    });
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    assert!(
        started.elapsed().as_millis() < 2500,
        "not after the long ones"
    );
    assert!(long.join().unwrap());
}

#[test]
fn the_limit_of_connections_holds_and_lets_go() {
    let running = probe("-w 1 --max-connections 2").start();
    let address = running.ready();
    let mut first = Client::connect(address);
    let mut second = Client::connect(address);
    assert_eq!(first.get("/").unwrap().status, 200);
    assert_eq!(second.get("/").unwrap().status, 200);

    let mut third = Client::connect(address);
    third.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    // The third waits in the kernel's queue: both others are still served, many times.
    for _ in 0..100 {
        assert_eq!(first.get("/").unwrap().status, 200);
        assert_eq!(second.get("/").unwrap().status, 200);
    }
    assert!(!third.has_answer(), "it is not accepted yet");
    drop(first);
    assert_eq!(third.response().unwrap().status, 200);
}
