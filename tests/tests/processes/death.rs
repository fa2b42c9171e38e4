use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tests::{Client, PATIENCE, Process, Running, Signal};

use crate::{field, probe, wait_until, workers_become};

#[test]
fn a_killed_worker_loses_only_what_it_was_running() {
    let running = probe("-w 4").start();
    let address = running.ready();
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let stop = stop.clone();
            thread::spawn(move || {
                let (mut responses, mut failures) = (0, 0);
                while !stop.load(Relaxed) {
                    // A connection each, so that those in the kernel's queue are seen, too.
                    match Client::try_connect(address).and_then(|mut one| one.get("/sleep/20")) {
                        Ok(response) => {
                            assert_eq!(response.status, 200);
                            responses += 1;
                        }
                        Err(_) => failures += 1,
                    }
                }
                (responses, failures)
            })
        })
        .collect();
    wait_until("the load", || Client::connect(address).get("/").is_ok());

    let victim = running.workers().remove(0);
    victim.signal(Signal::KILL);
    let died = running.wait_for_count("killed by SIGKILL", 1).remove(0);
    assert_eq!(field(&died, "delay_ms"), "0", "the next one starts at once");
    running.wait_for("worker replaced");

    // The new one serves.
    let pids: Vec<_> = running
        .workers()
        .iter()
        .map(|one| one.pid().to_string())
        .collect();
    assert!(!pids.contains(&victim.pid().to_string()));
    for pid in pids {
        wait_until("a response of each worker", || {
            Client::connect(address)
                .get("/")
                .is_ok_and(|one| one.text() == pid)
        });
    }
    stop.store(true, Relaxed);
    let (mut responses, mut failures) = (0, 0);
    for thread in load {
        let (some, failed) = thread.join().unwrap();
        responses += some;
        failures += failed;
    }
    assert!(responses > 0);
    assert!(
        failures <= 8,
        "at most what ran at once: {failures} of {responses}"
    );
}

#[test]
fn a_worker_that_dies_at_every_start_is_tried_ever_more_slowly() {
    let directory = tempfile::tempdir().unwrap();
    let once = directory.path().display();
    let running = probe(&format!("-w 2 --once {once}")).start();
    let address = running.ready();
    running.workers()[0].signal(Signal::ILL);

    let deaths = running.wait_for_count("worker died", 6);
    let delays: Vec<u64> = deaths
        .iter()
        .map(|line| field(line, "delay_ms").parse().unwrap())
        .collect();
    assert_eq!(delays[0], 0, "the first comes at once");
    assert!(delays.is_sorted_by(|a, b| a < b), "{delays:?}");
    assert!((80..=120).contains(&delays[1]), "{delays:?}");
    assert!((640..=960).contains(&delays[4]), "{delays:?}");

    assert!(deaths[0].contains("killed by SIGILL"), "{}", deaths[0]);
    assert_eq!(field(&deaths[0], "was_ready"), "true");
    assert!(deaths[1].contains("exited with code 3"), "{}", deaths[1]);
    assert_eq!(field(&deaths[1], "was_ready"), "false");

    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_worker_that_served_before_its_siblings_were_ready_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (file, socket) = (
        directory.path().join("start"),
        directory.path().join("http"),
    );
    std::fs::write(&file, "1 wait").unwrap();
    let arguments = format!(
        "-w 2 --start {} -b unix:{}",
        file.display(),
        socket.display()
    );
    let running = probe(&arguments).start();
    running.wait_for("waiting slot=1");
    let ask = || {
        Client::connect_unix(&socket)
            .unwrap()
            .get("/")
            .unwrap()
            .text()
    };
    for deaths in 1..3 {
        let pid = ask();
        Process::open(pid.parse().unwrap())
            .unwrap()
            .signal(Signal::ILL);
        let lines = running.wait_for_count("worker died; the next one starts", deaths);
        assert_eq!(field(&lines[deaths - 1], "was_ready"), "true");
        wait_until("another worker", || ask() != pid);
    }
    assert!(!running.log().iter().any(|line| line.contains(" ready ")));
    std::fs::write(&file, "go").unwrap();
    running.wait_for(" ready ");
}

#[test]
fn a_stuck_worker_is_replaced() {
    let running = probe("-w 2 --heartbeat-timeout 2").start();
    let address = running.ready();
    let mut client = Client::connect(address);
    client
        .send("GET /block/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    running.wait_for("its event loop was stuck for 2 seconds");
    let deaths = running.wait_for_count("worker died", 1);
    assert!(deaths[0].contains("killed by SIGABRT"), "{}", deaths[0]);
    assert!(client.response().is_err());
    workers_become(&running, 2);
    for _ in 0..10 {
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    }
}

#[test]
fn a_halted_worker_is_killed_for_sure() {
    let running = probe("-w 1 --heartbeat-timeout 2").start();
    let address = running.ready();
    // It does not even die of SIGABRT.
    running.workers()[0].signal(Signal::STOP);
    let deaths = running.wait_for_count("worker died", 1);
    assert!(deaths[0].contains("killed by SIGKILL"), "{}", deaths[0]);
    assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
}

#[test]
fn a_halted_supervisor_takes_nobody_for_dead() {
    let running = probe("-w 2 --heartbeat-timeout 2").start();
    let address = running.ready();
    let pids = |running: &Running| -> Vec<_> {
        running.workers().iter().map(tests::Process::pid).collect()
    };
    let before = pids(&running);
    running.signal(Signal::STOP);
    // Longer than the time-out, with the workers at work meanwhile.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2500) {
        assert_eq!(
            Client::connect(address).get("/sleep/50").unwrap().status,
            200
        );
    }
    running.signal(Signal::CONT);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/sleep/500").unwrap().status, 200);
    assert_eq!(pids(&running), before);
}

#[test]
fn a_worker_that_is_told_to_end_drains_and_is_replaced() {
    let running = probe("-w 1").start();
    let address = running.ready();
    let worker = running.workers().remove(0);
    let mut client = Client::connect(address);
    client
        .send("GET /sleep/500 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut other = Client::connect(address);
    assert_eq!(other.get("/").unwrap().status, 200, "the first one runs");
    worker.signal(Signal::TERM);
    assert_eq!(client.response().unwrap().text(), worker.pid().to_string());
    running.wait_for("exited with code 0");
    let response = Client::connect(address).get("/").unwrap().text();
    assert_ne!(response, worker.pid().to_string());
}

#[test]
fn the_death_of_the_supervisor_leaves_no_worker() {
    let mut running = probe("-w 3 --graceful-timeout 20").start();
    let address = running.ready();
    let workers = running.workers();
    assert_eq!(workers.len(), 3);
    let mut client = Client::connect(address);
    client
        .send("GET /sleep/500 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut other = Client::connect(address);
    assert_eq!(other.get("/").unwrap().status, 200);
    running.signal(Signal::KILL);
    running.exit();
    assert_eq!(client.response().unwrap().status, 200, "it drains");
    for worker in workers {
        assert!(worker.ends_within(Duration::from_secs(20)));
    }
}

#[test]
fn the_death_of_the_supervisor_ends_stuck_and_starting_workers() {
    let mut running = probe("-w 2 --graceful-timeout 1").start();
    let address = running.ready();
    let workers = running.workers();
    let mut client = Client::connect(address);
    client
        .send("GET /block/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    // The stuck one takes no more, so this is the other.
    let mut other = Client::connect(address);
    other.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    running.signal(Signal::KILL);
    running.exit();
    for worker in workers {
        assert!(
            worker.ends_within(PATIENCE),
            "the event loop is stuck for 100 s"
        );
    }

    let mut running = probe("-w 2 --slow-start 100000").start();
    workers_become(&running, 2);
    let workers = running.workers();
    running.signal(Signal::KILL);
    running.exit();
    for worker in workers {
        assert!(worker.ends_within(PATIENCE), "the start takes 100 s");
    }
}

#[test]
fn queued_connections_outlive_a_worker() {
    let running = probe("-w 4 --max-connections 1").start();
    let address = running.ready();
    // One connection for each worker, which then takes no more.
    let mut taken: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::connect(address);
            let pid = client.get("/").unwrap().text();
            (client, pid)
        })
        .collect();
    let mut queued: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Client::connect(address);
            let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
            client.send(request).unwrap();
            client
        })
        .collect();
    let victim = running.workers().remove(0);
    victim.signal(Signal::KILL);
    for client in &mut queued {
        assert_eq!(client.response().unwrap().status, 200);
    }
    taken.retain(|(_, pid)| *pid != victim.pid().to_string());
    assert_eq!(taken.len(), 3);
    for (client, _) in &mut taken {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
}

#[test]
fn a_halted_worker_that_goes_on_does_no_harm() {
    let running = probe("-w 2 --heartbeat-timeout 2").start();
    let address = running.ready();
    let halted = running.workers().remove(0);
    halted.signal(Signal::STOP);
    running.wait_for("worker replaced");
    // It was killed; regardless of its state, it serves no client.
    halted.signal(Signal::CONT);
    assert!(halted.ends_within(PATIENCE));
    for _ in 0..20 {
        let response = Client::connect(address).get("/").unwrap();
        assert_ne!(response.text(), halted.pid().to_string());
    }
    workers_become(&running, 2);

    // Shorter than the timeout: it continues as before.
    let halted = running.workers().remove(0);
    halted.signal(Signal::STOP);
    halted.signal(Signal::CONT);
    wait_until("a response of the halted one", || {
        Client::connect(address).get("/").unwrap().text() == halted.pid().to_string()
    });
}
