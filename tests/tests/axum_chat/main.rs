//! The chat by WebSocket (`examples/axum-chat`), on two workers.

mod client;

use std::collections::HashSet;

use client::ChatClient;
use tests::{Client, Running, Signal, program, wait_until};

fn start(workers: usize) -> Running {
    program("axum-chat")
        .args("-b 127.0.0.1:0 -w")
        .arg(workers.to_string())
        .start()
}

/// Clients that come until each worker has one: one of each worker.
fn one_of_each_worker(running: &Running, workers: usize) -> Vec<ChatClient> {
    let address = running.ready();
    let (mut clients, mut others) = (Vec::<ChatClient>::new(), Vec::new());
    wait_until("a client of each worker", || {
        let client = ChatClient::connect(address, "one");
        if clients
            .iter()
            .any(|other| other.worker() == client.worker())
        {
            others.push(client);
        } else {
            clients.push(client);
        }
        clients.len() == workers
    });
    clients
}

/// Each says something, and all hear all of it.
fn talk(clients: &mut [ChatClient], topic: &str) {
    let said = clients
        .iter()
        .enumerate()
        .map(|(number, client)| (format!("{topic} {number}"), client.worker()));
    let said: HashSet<_> = said.collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&format!("{topic} {number}"));
    }
    for client in clients {
        let heard: HashSet<_> = said.iter().map(|_| client.hear()).collect();
        assert_eq!(heard, said);
    }
}

#[test]
fn a_message_reaches_the_clients_of_all_workers() {
    let running = start(3);
    let mut clients = one_of_each_worker(&running, 3);
    talk(&mut clients, "first");
    talk(&mut clients, "second");
    // One that comes later gets what was said.
    let mut late = ChatClient::connect(running.ready(), "late");
    let heard: HashSet<_> = (0..6).map(|_| late.hear().0).collect();
    assert!(
        heard.contains("first 0") && heard.contains("second 2"),
        "{heard:?}"
    );
}

#[test]
fn a_reload_closes_with_1001_and_the_next_workers_hear_each_other() {
    let running = start(2);
    let clients = one_of_each_worker(&running, 2);
    let address = running.ready();
    let old = running.workers();
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    for client in clients {
        assert_eq!(client.into_socket().closed(), 1001);
    }
    // All have said goodbye, so no worker waits for its deadline.
    for worker in &old {
        assert!(worker.ends_within(tests::PATIENCE));
    }
    assert!(!running.log().join("\n").contains("were cut"));
    let mut clients = one_of_each_worker(&running, 2);
    talk(&mut clients, "after");
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn the_clients_of_a_killed_worker_alone_are_cut() {
    let running = start(2);
    let mut clients = one_of_each_worker(&running, 2);
    talk(&mut clients, "before");
    let mut other = clients.pop().unwrap();
    let cut = clients.pop().unwrap();
    let pid = cut.pid();
    let killed = running
        .workers()
        .into_iter()
        .find(|worker| worker.pid() == pid);
    killed.expect("a worker").signal(Signal::KILL);
    assert!(cut.into_socket().is_cut());
    // It still hears the others: the next worker, as soon as it is there.
    let mut next = None;
    wait_until("the next worker", || {
        let client = ChatClient::connect(running.ready(), "next");
        let is_next = client.pid() != other.pid();
        next = is_next.then_some(client);
        is_next
    });
    let mut next = next.unwrap();
    next.say("here again");
    let (text, worker) = other.hear();
    assert_eq!((text.as_str(), worker), ("here again", next.worker()));
}

#[test]
fn a_message_over_the_limit_ends_its_connection_alone() {
    let running = start(1);
    let address = running.ready();
    let (mut one, mut two) = (
        ChatClient::connect(address, "one"),
        ChatClient::connect(address, "two"),
    );
    one.say(&"x".repeat(5000));
    assert!(one.into_socket().is_cut());
    two.say("still here");
    assert_eq!(two.hear().0, "still here");
}
