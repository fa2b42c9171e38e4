use tests::{Client, Signal};

use crate::{probe, wait_until, workers_become};

#[test]
fn workers_come_and_go_one_by_one() {
    let running = probe("-w 1").start();
    let address = running.ready();
    for workers in 2..=3 {
        running.signal(Signal::TTIN);
        workers_become(&running, workers);
    }
    let mut pids: Vec<_> = running
        .workers()
        .iter()
        .map(|one| one.pid().to_string())
        .collect();
    wait_until("a response of every worker", || {
        let pid = Client::connect(address).get("/").unwrap().text();
        pids.retain(|one| *one != pid);
        pids.is_empty()
    });
    for workers in (1..=2).rev() {
        running.signal(Signal::TTOU);
        workers_become(&running, workers);
    }
    running.signal(Signal::TTOU);
    running.wait_for("cannot scale to 0 workers; choose a number from 1 to 1024");
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_worker_that_goes_finishes_what_it_runs() {
    let running = probe("-w 2").start();
    let address = running.ready();
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client
            .send("GET /sleep/500 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
    }
    // All are accepted: later requests are served.
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    running.signal(Signal::TTOU);
    for mut client in clients {
        assert_eq!(client.response().unwrap().status, 200);
    }
    workers_become(&running, 1);
    assert!(running.wait_for_count(" scaled ", 1)[0].contains("before=2 workers=1"));
}

#[test]
fn a_reload_goes_back_to_what_is_configured() {
    let running = probe("-w 2").start();
    let address = running.ready();
    running.signal(Signal::TTIN);
    workers_become(&running, 3);
    running.signal(Signal::HUP);
    running.wait_for(" reloaded ");
    workers_become(&running, 2);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn the_signals_do_not_halt_a_worker() {
    let running = probe("-w 1").start();
    let address = running.ready();
    let worker = running.workers().remove(0);
    for signal in [Signal::TTIN, Signal::TTOU, Signal::USR2] {
        worker.signal(signal);
    }
    let _ = running.wait_for_count("only the supervisor reloads, upgrades and scales", 3);
    let response = Client::connect(address).get("/").unwrap().text();
    assert_eq!(response, worker.pid().to_string());
}
