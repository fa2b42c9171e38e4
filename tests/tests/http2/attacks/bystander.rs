//! A client that keeps the rules, and measures how long its responses take.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use http::Method;
use tests::{Address, PATIENCE, http2::Http2Client, wait_until};
use tokio::runtime;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Bystander {
    stop: Arc<AtomicBool>,
    measured: Arc<Mutex<Measured>>,
    thread: JoinHandle<()>,
}

/// How long each response has taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    times: Vec<Duration>,
    failures: Vec<String>,
}

impl Bystander {
    pub(super) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let measured = Arc::default();
        let thread = {
            let (stop, measured) = (stop.clone(), Arc::clone(&measured));
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(follow(address, &stop, &measured));
            })
        };
        Self {
            stop,
            measured,
            thread,
        }
    }

    /// Waits until this many responses have come, and this time has passed.
    pub(super) fn wait_for(&self, responses: usize, time: Duration) {
        self.wait_for_each(responses, time, || {});
    }

    /// The same, and calls `each` from time to time.
    pub(super) fn wait_for_each(&self, responses: usize, time: Duration, mut each: impl FnMut()) {
        let started = Instant::now();
        wait_until("the time of the attack", || {
            each();
            thread::sleep(PAUSE);
            started.elapsed() >= time
        });
        wait_until("a response for the client beside it", || {
            let measured = self.measured.lock().unwrap();
            measured.times.len() >= responses || !measured.failures.is_empty()
        });
    }

    pub(super) fn stop(self) -> Measured {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        self.measured.lock().unwrap().clone()
    }
}

impl Measured {
    pub(super) fn responses(&self) -> usize {
        self.times.len()
    }

    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        let at = (times.len() * percent / 100).min(times.len() - 1);
        times[at]
    }

    pub(super) fn assert_nothing_failed(&self) {
        assert!(self.failures.is_empty(), "{:?}", self.failures);
    }
}

async fn follow(address: SocketAddr, stop: &AtomicBool, measured: &Mutex<Measured>) {
    let fail = |error: String| measured.lock().unwrap().failures.push(error);
    let client = match Http2Client::connect(&Address::Tcp(address)).await {
        Ok(client) => client,
        Err(error) => return fail(error.to_string()),
    };
    while !stop.load(Relaxed) {
        let started = Instant::now();
        let fetched = tokio::time::timeout(PATIENCE, client.fetch(Method::GET, "/", None)).await;
        match fetched {
            Ok(Ok(response)) if response.status == 200 => {
                let took = started.elapsed();
                measured.lock().unwrap().times.push(took);
            }
            other => return fail(format!("{other:?}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
