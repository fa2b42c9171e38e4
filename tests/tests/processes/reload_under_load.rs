//! Reloads during continuous load: no request may fail.

use std::{
    collections::HashSet,
    env, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use tests::{Client, Response, Signal};

use crate::{probe, workers_become};

/// The number of reloads; a short run without it.
const RELOADS: &str = "STRESS_RELOADS";

/// Milliseconds that a worker takes to build its service.
const BUILD: &str = "STRESS_BUILD_MS";

const BODY: usize = 16 << 10;

#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What one client does over and over.
#[derive(Clone, Copy, Debug)]
struct Habit {
    keep_alive: bool,
    post: bool,
    /// The longest pause between two requests.
    pause: Duration,
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    last_answers: usize,
    pids: HashSet<String>,
    longest: Duration,
    failures: Vec<String>,
}

impl Address {
    fn connect(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(address) => Client::try_connect(*address),
            Self::Unix(path) => Client::connect_unix(path),
        }
    }
}

impl Habit {
    fn request(self, client: &mut Client) -> io::Result<Response> {
        if !self.post {
            return client.get("/");
        }
        let head = format!("POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: {BODY}\r\n\r\n");
        let mut request = head.into_bytes();
        request.resize(request.len() + BODY, b'x');
        client.send(request)?;
        client.response()
    }

    fn is_right(self, response: &Response) -> bool {
        let text = response.text();
        response.status == 200
            && if self.post {
                text == BODY.to_string()
            } else {
                text.parse::<u32>().is_ok()
            }
    }

    /// Sends requests until it is to stop.
    fn follow(self, address: &Address, stop: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let mut open = None;
        while !stop.load(Relaxed) {
            let started = Instant::now();
            let reused = open.is_some();
            let answer =
                open.take()
                    .map_or_else(|| address.connect(), Ok)
                    .and_then(|mut client| {
                        let response = self.request(&mut client)?;
                        Ok((client, response))
                    });
            seen.longest = seen.longest.max(started.elapsed());
            match answer {
                Ok((client, response)) if self.is_right(&response) => {
                    seen.answers += 1;
                    let is_last = response.header("connection") == Some("close");
                    seen.last_answers += usize::from(is_last);
                    if !self.post {
                        seen.pids.insert(response.text());
                    }
                    open = (self.keep_alive && !is_last).then_some(client);
                }
                Ok((_, response)) => seen.failures.push(format!("{self:?}: {response:?}")),
                Err(error) => {
                    let failure = format!("{self:?}, {address:?}, reused: {reused}: {error:?}");
                    seen.failures.push(failure);
                }
            }
            thread::sleep(self.pause.mul_f64(fastrand::f64()));
        }
        seen
    }
}

fn number(variable: &str, default: usize) -> usize {
    let number = env::var(variable).map(|text| text.parse().expect("a number"));
    number.unwrap_or(default)
}

fn habits() -> Vec<Habit> {
    let mut habits = Vec::new();
    for keep_alive in [true, false] {
        for post in [true, false] {
            for pause in [1, 20] {
                let pause = Duration::from_millis(pause);
                habits.push(Habit {
                    keep_alive,
                    post,
                    pause,
                });
            }
        }
    }
    habits.push(Habit {
        keep_alive: true,
        post: false,
        pause: Duration::ZERO,
    });
    habits
}

fn reload_under_load(workers: usize, path: &Path) {
    let reloads = number(RELOADS, 5);
    let build = number(BUILD, 200);
    let arguments = format!("-w {workers} -b 127.0.0.1:0 --slow-start {build}");
    let running = probe(&arguments)
        .arg("-b")
        .arg(format!("unix:{}", path.display()))
        .start();
    let addresses = [Address::Tcp(running.ready()), Address::Unix(path.into())];
    let stop = &AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let mut clients = Vec::new();
        for habit in habits() {
            for address in &addresses {
                clients.push(scope.spawn(move || habit.follow(address, stop)));
            }
        }
        let reload = || {
            for count in 1..=reloads {
                running.signal(Signal::HUP);
                let _ = running.wait_for_count(" reloaded ", count);
            }
            workers_become(&running, workers);
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(reload));
        // Also after a failure: the clients must end.
        stop.store(true, Relaxed);
        seen.extend(clients.into_iter().map(|client| client.join().unwrap()));
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });

    let failures: Vec<_> = seen.iter().flat_map(|one| &one.failures).collect();
    let answers: usize = seen.iter().map(|one| one.answers).sum();
    let last: usize = seen.iter().map(|one| one.last_answers).sum();
    let pids: HashSet<_> = seen.iter().flat_map(|one| &one.pids).collect();
    let longest = seen.iter().map(|one| one.longest).max().unwrap_or_default();
    println!(
        "{workers} workers, {reloads} reloads: {answers} answers of {} workers, {last} of them \
         the last of a connection, the longest after {longest:?}",
        pids.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {answers}: {failures:#?}",
        failures.len()
    );
    assert!(seen.iter().all(|one| one.answers > 0), "{seen:?}");
    assert!(last > 0, "connections were held open over the reloads");
    assert!(pids.len() > reloads, "{} workers have answered", pids.len());
    let log = running.log().join("\n");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn reloads_under_load_lose_no_request() {
    let directory = tempfile::tempdir().unwrap();
    for workers in [1, 2] {
        reload_under_load(workers, &directory.path().join("socket"));
    }
}
