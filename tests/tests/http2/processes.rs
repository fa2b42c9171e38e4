//! Workers that come and go under connections with many streams. In CI in a short form; see `CONTRIBUTING.md` for the long one.

use std::process::{Command, Stdio};

use tests::{
    Client, Program, Running, Signal,
    http2::{Fields, Frame, Outcome, RawHttp2, code, flag, kind},
    installed, stress,
};

const RELOADS: &str = "STRESS_RELOADS";
const UPGRADES: &str = "STRESS_UPGRADES";

const H2LOAD_CLIENTS: u32 = 4;
const H2LOAD_STREAMS: u32 = 20;

fn probe(arguments: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_probe")).args(arguments)
}

#[test]
fn a_worker_is_busy_with_the_streams_of_one_connection() {
    let running = probe("-w 2 -b 127.0.0.1:0 --thread-workers 3").start();
    let address = running.ready();
    let mut long = RawHttp2::connect(address, &[]);
    let Outcome::Served(200, busy) = long.fetch(1, "/") else {
        panic!("it is not served");
    };
    for number in 1..=100 {
        long.get(number * 2 + 1, "/work/100000").unwrap();
    }
    // Frames are read in their order: the server has read all requests when this comes back.
    long.frame(&Frame::ping([1; 8])).unwrap();
    let _ = long.wait_for(|frame| frame.kind == kind::PING).unwrap();
    let ask = || Client::connect(address).get("/").unwrap().body;
    let taken = (0..200).filter(|_| ask() == busy).count();
    // As in the test for HTTP/1.1 of the same name: it may wait for one already.
    assert!(taken <= 200 / 2 / 3, "{taken} of 200");
    assert!(
        long.seen.iter().all(|frame| frame.kind != kind::HEADERS),
        "{:?}",
        long.seen
    );
}

/// Connections with unfinished requests on many streams, which are finished when the server wants to get rid of them.
struct KeepsOpen {
    connections: Vec<RawHttp2>,
}

impl KeepsOpen {
    const STREAMS: u32 = 50;

    fn start(running: &Running) -> Self {
        let address = running.ready();
        let connections = (0..4).map(|_| {
            let mut client = RawHttp2::connect(address, &[]);
            for number in 0..Self::STREAMS {
                let upload = Fields::post("/upload").field("content-length", "6");
                client
                    .frames(&[
                        Frame::headers(number * 2 + 1, flag::END_HEADERS, upload),
                        Frame::data(number * 2 + 1, 0, "abc"),
                    ])
                    .unwrap();
            }
            client.frame(&Frame::ping([1; 8])).unwrap();
            let _ = client.wait_for(|frame| frame.kind == kind::PING).unwrap();
            client
        });
        Self {
            connections: connections.collect(),
        }
    }

    /// Finishes all of them after the server has said that it goes away.
    fn finish(self) {
        for (number, mut client) in self.connections.into_iter().enumerate() {
            let goaway = client.wait_for(|frame| frame.kind == kind::GOAWAY).unwrap();
            assert_eq!(goaway.number(4), code::NO_ERROR);
            // One of the clients does not reply to the ping, from which the server learns that it knows.
            if number > 0 {
                let ping = client.wait_for(|frame| frame.kind == kind::PING).unwrap();
                let pong = Frame::new(kind::PING, flag::ACK, 0, ping.payload);
                client.frame(&pong).unwrap();
            }
            // Opened in the race: it is served, or refused so that it can be sent again.
            let racing = Self::STREAMS * 2 + 1;
            let _ = client.get(racing, "/");
            for number in 0..Self::STREAMS {
                let stream = number * 2 + 1;
                client
                    .frame(&Frame::data(stream, flag::END_STREAM, "def"))
                    .unwrap();
                assert_eq!(client.outcome(stream), Outcome::Served(200, b"6".to_vec()));
            }
            let is_beyond = |frame: &Frame| frame.kind == kind::GOAWAY && frame.number(0) < racing;
            let outcome = client.outcome(racing);
            let is_safe = matches!(
                outcome,
                Outcome::Served(200, _) | Outcome::Reset(code::REFUSED_STREAM)
            ) || client.seen.iter().any(is_beyond);
            assert!(is_safe, "{outcome:?}: {:?}", client.seen);
            assert!(client.is_closed());
        }
    }
}

/// What is done to the server.
enum Change {
    Reload,
    Upgrade,
}

/// Does it some times, with connections that are held open each time, and with h2load.
fn lose_nothing(change: &Change, count: usize) {
    // So that nothing is cut while the streams are held open.
    let mut running = probe("-w 2 -b 127.0.0.1:0 --graceful-timeout 60").start();
    let address = running.ready();
    let is_h2load = installed("h2load").is_some();
    for number in 1..=count {
        let keeps_open = KeepsOpen::start(&running);
        let load = is_h2load.then(|| {
            let mut command = Command::new("h2load");
            command.args(["-n", "3000", "-T", "60"]);
            command.arg(format!("-c{H2LOAD_CLIENTS}"));
            command.arg(format!("-m{H2LOAD_STREAMS}"));
            command.arg(format!("http://{address}/"));
            command.stdout(Stdio::piped()).spawn().unwrap()
        });
        match change {
            Change::Reload => {
                running.signal(Signal::HUP);
                keeps_open.finish();
                let _ = running.wait_for_count(" reloaded ", number);
            }
            Change::Upgrade => {
                running.signal(Signal::USR2);
                keeps_open.finish();
                running.upgraded(number);
            }
        }
        if let Some(load) = load {
            let output = load.wait_with_output().unwrap();
            assert_served(&String::from_utf8_lossy(&output.stdout));
        }
    }
    let log = running.log().join("\n");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

/// h2load does not connect again when its connection goes away, and counts what it has then as failed: what it has not
/// begun, and what it has queued and not sent. The other clients of these tests see each request.
fn assert_served(text: &str) {
    let line = text.lines().find(|line| line.starts_with("requests: "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    let count = |word: &str| {
        let part = line.split([':', ',']).find(|part| part.ends_with(word));
        let number = part.and_then(|part| part.split_whitespace().next());
        let number = number.and_then(|number| number.parse::<u32>().ok());
        number.unwrap_or_else(|| panic!("{text}"))
    };
    let queued = H2LOAD_CLIENTS * H2LOAD_STREAMS;
    assert_eq!(count(" done"), count(" started"), "{text}");
    assert!(count(" started") - count(" succeeded") <= queued, "{text}");
    assert_eq!(count(" timeout"), 0, "{text}");
    assert!(text.contains(" 0 3xx, 0 4xx, 0 5xx"), "{text}");
}

#[test]
fn reloads_lose_no_stream() {
    lose_nothing(&Change::Reload, stress(RELOADS, 2));
}

#[test]
fn upgrades_lose_no_stream() {
    lose_nothing(&Change::Upgrade, stress(UPGRADES, 1));
}
