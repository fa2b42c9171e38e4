//! A load: many clients with different habits that send requests until they are stopped.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio_rustls::rustls::ClientConfig;

use crate::{Client, Response};

const BODY: usize = 16 << 10;

/// Where clients connect to.
#[derive(Clone, Debug)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over TCP, with TLS.
    Tls(SocketAddr, Arc<ClientConfig>),
    /// To a Unix socket.
    Unix(PathBuf),
}

/// Clients of all habits that send requests to the test program until they are stopped: fresh
/// connections and lasting ones, GET and POST of 16 KiB, with long, short and no pauses.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What clients have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Right responses of all clients.
    pub responses: usize,
    /// Right responses of the client that has the fewest.
    pub fewest: usize,
    /// Responses that ended their connection by `Connection: close`.
    pub last: usize,
    /// The workers that have responded, by their process ids.
    pub pids: HashSet<String>,
    /// The longest time from a connect, or from a request on an open connection, to the response.
    pub longest: Duration,
    /// Requests on HTTP/2 that the server has not begun, as it says, which may be sent again.
    pub not_begun: usize,
    /// What went wrong, a text for each request.
    pub failures: Vec<String>,
}

/// What one client does over and over.
#[derive(Clone, Copy, Debug)]
struct Habit {
    keep_alive: bool,
    post: bool,
    /// The longest pause between two requests.
    pause: Duration,
}

impl Load {
    /// Starts this many clients, in turn for each address. From nine for each address on, all habits
    /// are among them.
    ///
    /// # Panics
    ///
    /// When there is no address.
    #[must_use]
    pub fn start(clients: usize, addresses: &[Address]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let habits = Habit::all();
        let start = |number: usize| {
            let address = addresses[number % addresses.len()].clone();
            let habit = habits[number / addresses.len() % habits.len()];
            let stop = stop.clone();
            thread::spawn(move || habit.follow(&address, &stop))
        };
        Self {
            clients: (0..clients).map(start).collect(),
            stop,
        }
    }

    /// Lets each client finish the request that it has begun.
    ///
    /// # Panics
    ///
    /// When a client has panicked.
    #[must_use]
    pub fn stop(mut self) -> Seen {
        self.stop.store(true, Relaxed);
        let clients = std::mem::take(&mut self.clients);
        let seen = clients
            .into_iter()
            .map(|client| client.join().expect("clients collect their failures"));
        seen.reduce(Seen::and).unwrap_or_default()
    }
}

/// After the failure of a test, too, the clients end.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

impl Seen {
    /// Checks that every client has had responses, and that all of them were right.
    ///
    /// # Panics
    ///
    /// When it is not so.
    pub fn assert_nothing_failed(&self) {
        let (count, some) = (self.failures.len(), &self.failures[..]);
        let some = &some[..count.min(20)];
        assert!(some.is_empty(), "{count} of {}: {some:#?}", self.responses);
        assert!(self.fewest > 0, "a client has had no response: {self:?}");
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.responses += other.responses;
        self.fewest = self.fewest.min(other.fewest);
        self.last += other.last;
        self.not_begun += other.not_begun;
        self.pids.extend(other.pids);
        self.longest = self.longest.max(other.longest);
        self.failures.extend(other.failures);
        self
    }
}

impl Habit {
    fn all() -> Vec<Self> {
        let mut habits = Vec::new();
        for keep_alive in [true, false] {
            for post in [true, false] {
                for pause in [1, 20] {
                    habits.push(Self {
                        keep_alive,
                        post,
                        pause: Duration::from_millis(pause),
                    });
                }
            }
        }
        habits.push(Self {
            keep_alive: true,
            post: false,
            pause: Duration::ZERO,
        });
        habits
    }

    /// Sends requests until it is to stop.
    fn follow(self, address: &Address, stop: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let mut open = None;
        while !stop.load(Relaxed) {
            let started = Instant::now();
            let reused = open.is_some();
            let response =
                open.take()
                    .map_or_else(|| address.connect(), Ok)
                    .and_then(|mut client| {
                        let response = self.request(&mut client)?;
                        Ok((client, response))
                    });
            seen.longest = seen.longest.max(started.elapsed());
            match response {
                Ok((client, response)) if self.is_right(&response) => {
                    seen.responses += 1;
                    let is_last = response.header("connection") == Some("close");
                    seen.last += usize::from(is_last);
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
        seen.fewest = seen.responses;
        seen
    }

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
}

impl Address {
    fn connect(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(address) => Client::try_connect(*address),
            Self::Tls(address, config) => Client::connect_tls(*address, config),
            Self::Unix(path) => Client::connect_unix(path),
        }
    }
}
