//! Load over HTTP/2: connections with many streams, which are held open as long as the server does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use tokio::{runtime, time::sleep};

use super::{Http2Client, Lost};
use crate::{Address, PATIENCE, Response, Seen};

const BODY: usize = 16 << 10;

/// The longest pause of a stream between two requests.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients of HTTP/2 that send GET and POST requests on all their streams until they are stopped. What the server has not
/// begun is sent again, as clients may.
#[derive(Debug)]
pub struct Http2Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Http2Load {
    /// Starts this many clients, in turn for each address, each with one connection of this many streams.
    ///
    /// # Panics
    ///
    /// When there is no address.
    #[must_use]
    pub fn start(clients: usize, streams: usize, addresses: &[Address]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number: usize| {
            let address = addresses[number % addresses.len()].clone();
            let stop = stop.clone();
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime");
                runtime.block_on(follow(&address, streams, &stop))
            })
        };
        Self {
            clients: (0..clients).map(start).collect(),
            stop,
        }
    }

    /// Lets each stream finish the request that it has begun.
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
impl Drop for Http2Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// Uses one connection after another.
async fn follow(address: &Address, streams: usize, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Relaxed) {
        let client = match Http2Client::connect(address).await {
            Ok(client) => client,
            Err(error) => {
                seen.failures.push(format!("connect: {error}"));
                sleep(PAUSE).await;
                continue;
            }
        };
        let streams = (0..streams).map(|number| stream(&client, number % 2 == 1, stop));
        let of_streams = join_all(streams).await.into_iter().reduce(Seen::and);
        seen = seen.and(of_streams.unwrap_or_default());
        if !stop.load(Relaxed) {
            seen.last += 1;
        }
    }
    seen.fewest = seen.responses;
    seen
}

/// Sends one request after another, until the connection takes no more.
async fn stream(client: &Http2Client, is_post: bool, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Relaxed) {
        let started = Instant::now();
        let fetched = if is_post {
            let body = Bytes::from(vec![b'x'; BODY]);
            client.fetch(Method::POST, "/upload", Some(body))
        } else {
            client.fetch(Method::GET, "/", None)
        };
        // Not for ever, so that a request without a response is one of the failures.
        let patience = sleep(PATIENCE);
        let fetched = tokio::select! {
            fetched = fetched => fetched,
            () = patience => Err(Lost::Failed("no response".to_owned())),
        };
        seen.longest = seen.longest.max(started.elapsed());
        match fetched {
            Ok(response) if is_right(&response, is_post) => {
                seen.responses += 1;
                if !is_post {
                    seen.pids.insert(response.text());
                }
            }
            Ok(response) => seen.failures.push(format!("HTTP/2: {response:?}")),
            Err(Lost::NotBegun(_)) => {
                seen.not_begun += 1;
                break;
            }
            Err(Lost::Failed(error)) => {
                seen.failures
                    .push(format!("HTTP/2, POST: {is_post}: {error}"));
                break;
            }
        }
        sleep(PAUSE.mul_f64(fastrand::f64())).await;
    }
    seen
}

fn is_right(response: &Response, is_post: bool) -> bool {
    let text = response.text();
    response.status == 200
        && if is_post {
            text == BODY.to_string()
        } else {
            text.parse::<u32>().is_ok()
        }
}
