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
    let running = probe("-w 2 --thread-workers 3").start();
    let address = running.ready();
    // As many requests as it has threads, all on one of the two.
    let busy = Client::connect(address).get("/").unwrap().text();
    let mut long = Vec::new();
    while long.len() < 3 {
        let mut client = Client::connect(address);
        if client.get("/").unwrap().text() == busy {
            long.push(client);
        }
    }
    for client in &mut long {
        client
            .send("GET /sleep/10000 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
    }
    let mut taken = 0;
    for _ in 0..200 {
        let pid = Client::connect(address).get("/").unwrap().text();
        taken += usize::from(pid == busy);
    }
    assert!(long.iter().all(|client| !client.has_answer()), "too slow");
    // Evenly would be 100.
    assert!(taken <= 60, "{taken} of 200");
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

#[test]
fn without_threads_any_number_of_requests_runs() {
    for workers in [0, 2] {
        let running = probe(&format!("-w {workers} --thread-workers 0")).start();
        let address = running.ready();
        let running_ones: Vec<_> = (0..200)
            .map(|_| {
                let mut client = Client::connect(address);
                let request = "GET /sleep/100000 HTTP/1.1\r\nhost: test\r\n\r\n";
                client.send(request).unwrap();
                client
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        }
        assert!(running_ones.iter().all(|client| !client.has_answer()));
    }
}
