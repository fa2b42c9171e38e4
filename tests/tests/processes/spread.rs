use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use tests::{Client, PATIENCE, Program, Running, wait_until};

use crate::probe;

/// A server, and how to connect to it.
struct Place {
    running: Running,
    /// Of its Unix socket, if that is where it listens.
    socket: Option<PathBuf>,
}

impl Place {
    fn connect(&self) -> Client {
        match &self.socket {
            Some(path) => Client::connect_unix(path).unwrap(),
            None => self.running.client(),
        }
    }

    /// The worker that serves on a fresh connection.
    fn ask(&self) -> String {
        self.connect().get("/").unwrap().text()
    }
}

/// Over TCP and over a Unix socket.
fn everywhere(options: &str, test: impl Fn(&Place)) {
    let running = probe(options).start();
    let _ = running.ready();
    test(&Place {
        running,
        socket: None,
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = format!(" -b unix:{}", path.display());
    let running = probe(&(options.to_owned() + &address)).start();
    running.wait_for(" ready ");
    test(&Place {
        running,
        socket: Some(path),
    });
}

#[test]
fn fresh_connections_spread_evenly() {
    everywhere("-w 4", |place| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for _ in 0..2000 {
            *counts.entry(place.ask()).or_default() += 1;
        }
        assert_eq!(counts.len(), 4, "{counts:?}");
        let near = 300..=700;
        let mut counts = counts.values();
        assert!(counts.all(|count| near.contains(count)), "{counts:?}");
    });
}

#[test]
fn a_busy_worker_leaves_connections_to_its_siblings() {
    for workers in [2, 4] {
        let options = format!("-w {workers} --thread-workers 3");
        everywhere(&options, |place| {
            // As many requests as it has threads, all on one of them.
            let busy = place.ask();
            let mut long = Vec::new();
            while long.len() < 3 {
                let mut client = place.connect();
                if client.get("/").unwrap().text() == busy {
                    long.push(client);
                }
            }
            for client in &mut long {
                client
                    .send("GET /work/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
                    .unwrap();
            }
            let taken = (0..200).filter(|_| place.ask() == busy).count();
            assert!(long.iter().all(|client| !client.has_response()), "too slow");
            // One that it waited for already when it became busy, and what came while its siblings had
            // no core.
            assert!(taken <= 200 / workers / 3, "{taken} of 200");
        });
    }
}

/// The streams of one connection of HTTP/2 are as many requests.
#[test]
fn a_connection_with_many_streams_makes_its_worker_busy() {
    let running = probe("-w 2 --thread-workers 3").start();
    let address = running.ready();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    connection.write_all(&get(1, "/")).unwrap();
    let busy = loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).unwrap();
        if head[3] == DATA {
            break String::from_utf8(payload).unwrap();
        }
    };
    for stream in 1..=100 {
        connection
            .write_all(&get(1 + 2 * stream, "/work/100000"))
            .unwrap();
    }
    let ask = || Client::connect(address).get("/").unwrap().text();
    // Not at once: the requests have to arrive, and a sibling without a core leaves some to the busy worker.
    wait_until("the sibling gets nearly all connections", || {
        let taken = (0..200).filter(|_| ask() == busy).count();
        taken <= 200 / 2 / 3
    });
}

/// The type of a frame with data.
const DATA: u8 = 0;

/// The frame of a request on a stream of HTTP/2, without a body: its method and its scheme are in the static table of HPACK.
fn get(stream: u8, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let fields = [b"\x82\x86\x41\x04test\x44", &[length][..], path.as_bytes()].concat();
    let length = u8::try_from(fields.len()).unwrap();
    [&[0, 0, length, 1, 5, 0, 0, 0, stream], &fields[..]].concat()
}

#[test]
fn a_busy_server_still_serves_short_requests() {
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
    // The third waits in the kernel's queue. Both others are still served, until the server makes room for it.
    let mut is_open = true;
    for turn in 0..200 {
        let client = if turn % 2 == 0 {
            &mut first
        } else {
            &mut second
        };
        assert!(!third.has_response(), "it is not accepted yet");
        let response = client.get("/").unwrap();
        assert_eq!(response.status, 200);
        is_open = response.header("connection") != Some("close");
        if !is_open {
            break;
        }
    }
    if is_open {
        assert!(!third.has_response(), "it is not accepted yet");
        drop(first);
    }
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
        assert!(running_ones.iter().all(|client| !client.has_response()));
    }
}

/// Clients that keep their connections would stay with the one worker for ever.
#[test]
fn a_busy_worker_sheds_connections_to_an_idle_sibling() {
    let running = probe("-w 2 --thread-workers 1").start();
    let address = running.ready();
    let busy = Client::connect(address).get("/").unwrap().text();
    let moved = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut client = Client::connect(address);
            while client.get("/").unwrap().text() != busy {
                client = Client::connect(address);
            }
            let (moved, busy) = (&moved, &busy);
            scope.spawn(move || {
                let end = Instant::now() + PATIENCE;
                while !moved.load(Relaxed) {
                    assert!(Instant::now() < end, "nobody moves");
                    let response = client.get("/work/20").unwrap();
                    assert_eq!(response.status, 200);
                    moved.fetch_or(response.text() != *busy, Relaxed);
                    if response.header("connection") == Some("close") {
                        client = Client::connect(address);
                    }
                }
            });
        }
    });
}

/// A connection that is not accepted does not count, and one without a request only after its first request.
#[test]
fn idle_connections_do_not_make_a_worker_busy() {
    let running = probe("-w 2 --thread-workers 1").start();
    let address = running.ready();
    let full = Client::connect(address).get("/").unwrap().text();
    let mut idle = Vec::new();
    while idle.len() < 50 {
        let mut client = Client::connect(address);
        if client.get("/").unwrap().text() == full {
            idle.push(client);
        }
    }
    let mut taken = 0;
    wait_until("the worker with idle connections takes another", || {
        taken += usize::from(Client::connect(address).get("/").unwrap().text() == full);
        taken == 50
    });
}

/// A client that always has the next request ready is not served before those that came earlier.
#[test]
fn a_chatty_client_does_not_jump_the_queue() {
    let running = probe("-w 1 --thread-workers 1").start();
    let address = running.ready();
    let mut chatty = Client::connect(address);
    let request = "GET /work/20 HTTP/1.1\r\nhost: test\r\n\r\n";
    // 2 s of work, sent at once, on a connection that is served one request after the other.
    chatty.send(request.repeat(100)).unwrap();
    chatty.response().unwrap();
    let mut others: Vec<_> = (0..10).map(|_| Client::connect(address)).collect();
    for other in &mut others {
        other.send(request).unwrap();
    }
    for other in &mut others {
        assert_eq!(other.response().unwrap().status, 200);
    }
    let mut responded = 1;
    while chatty.has_response() {
        chatty.response().unwrap();
        responded += 1;
    }
    // One of the others' requests goes between two of its own.
    assert!(responded < 60, "{responded} of 100");
}

#[test]
fn a_worker_without_descriptors_waits_and_then_goes_on() {
    let probe = env!("CARGO_BIN_EXE_probe");
    let command = format!("ulimit -n 300; exec {probe} -w 1 -b 127.0.0.1:0");
    let running = Program::new("/bin/sh").arg("-c").arg(command).start();
    let address = running.ready();
    let mut control = Client::connect(address);
    let pid = control.get("/").unwrap().text();
    assert_eq!(control.get("/files/fill").unwrap().status, 200);

    // There is a descriptor for the connection that the kernel woke this worker for.
    let mut last = Client::connect(address);
    assert_eq!(last.get("/").unwrap().text(), pid);
    let mut waiting = Client::connect(address);
    waiting
        .send("GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    running.wait_for("cannot accept connections");
    let before = cpu_time(&pid);
    // It has nothing to do meanwhile; a loop would take all the time that there is.
    thread::sleep(Duration::from_secs(2));
    let used = cpu_time(&pid) - before;
    assert!(used < Duration::from_millis(500), "{used:?}");
    assert!(!waiting.has_response());
    assert_eq!(
        control.get("/").unwrap().text(),
        pid,
        "it serves what it has"
    );

    assert_eq!(control.get("/files/close").unwrap().status, 200);
    assert_eq!(waiting.response().unwrap().text(), pid);
    assert_eq!(Client::connect(address).get("/").unwrap().text(), pid);
    let log = running.log();
    let said = log.iter().filter(|line| line.contains("cannot accept"));
    assert_eq!(said.count(), 1, "{log:?}");
}

#[test]
fn a_worker_without_descriptors_leaves_connections_to_its_siblings() {
    let probe = env!("CARGO_BIN_EXE_probe");
    let command = format!("ulimit -n 300; exec {probe} -w 2 -b 127.0.0.1:0");
    let running = Program::new("/bin/sh").arg("-c").arg(command).start();
    let address = running.ready();
    let mut control = Client::connect(address);
    let pid = control.get("/").unwrap().text();
    assert_eq!(control.get("/files/fill").unwrap().status, 200);
    let mut clients = Vec::new();
    let mut own = 0;
    for _ in 0..40 {
        let mut client = Client::connect(address);
        own += usize::from(client.get("/").unwrap().text() == pid);
        clients.push(client);
    }
    assert!(own <= 1, "{own}");
}

/// What a process has spent in its own code and in the kernel.
fn cpu_time(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|it| it.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}
