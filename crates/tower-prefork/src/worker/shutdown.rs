//! How a process that serves is shut down.

use std::{
    io, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::watch;
use tower_serve::{Load, internal::log_writer};

use crate::{
    control::{Socket, ToSupervisor},
    phase::Phase,
    server_log,
    signals::{SignalRequest, Signals},
    system::{Announcer, log_cut, log_shutdown_delay, log_stopping},
};

/// How long the event loop and the runtime may take to end after the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// How long idle connections stay open when the program stops: long enough to read a request that has already arrived.
const IDLE: Duration = Duration::from_millis(10);

/// Shuts this process down, and enforces the deadline. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct ShutdownHandle(Arc<ShutdownState>);

#[derive(Debug)]
struct ShutdownState {
    drain: watch::Sender<Option<DrainRequest>>,
    serving: Mutex<ServingState>,
    supervisor: Option<Arc<Socket>>,
    announcer: Announcer,
    graceful_timeout: Duration,
    shutdown_delay: Duration,
}

/// How this process is to drain.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrainRequest {
    /// When requests that still run are cut.
    pub(super) deadline: Instant,
    /// How long idle connections stay open for a last request.
    pub(super) idle: Duration,
    /// A bit for each listener, in their order, whose queued connections no other process accepts.
    pub(super) queues: u64,
    /// No other process takes over, and the listeners are shut down in every process that has a copy.
    pub(super) is_final: bool,
}

impl DrainRequest {
    /// For a server that no other process takes over from.
    pub(super) fn last(left: Duration) -> Self {
        Self {
            deadline: Instant::now() + left,
            idle: IDLE,
            queues: u64::MAX,
            is_final: true,
        }
    }
}

#[derive(Debug)]
enum ServingState {
    /// No service is built yet.
    Building,
    /// The loads of the services, whose requests are to finish.
    Serving(Vec<Load>),
    Exiting,
}

impl ShutdownHandle {
    /// For a worker, whose supervisor takes care of the delay before a stop.
    pub(super) fn of_worker(
        supervisor: Arc<Socket>,
        announcer: Announcer,
        graceful_timeout: Duration,
    ) -> Self {
        Self::new(
            Some(supervisor),
            announcer,
            graceful_timeout,
            Duration::ZERO,
        )
    }

    /// For a process without a supervisor.
    pub(super) fn standalone(
        announcer: Announcer,
        graceful_timeout: Duration,
        shutdown_delay: Duration,
    ) -> Self {
        Self::new(None, announcer, graceful_timeout, shutdown_delay)
    }

    fn new(
        supervisor: Option<Arc<Socket>>,
        announcer: Announcer,
        graceful_timeout: Duration,
        shutdown_delay: Duration,
    ) -> Self {
        Self(Arc::new(ShutdownState {
            drain: watch::Sender::new(None),
            serving: Mutex::new(ServingState::Building),
            supervisor,
            announcer,
            graceful_timeout,
            shutdown_delay,
        }))
    }

    /// Set when the process is to drain.
    pub(super) fn drain_requests(&self) -> watch::Receiver<Option<DrainRequest>> {
        self.0.drain.subscribe()
    }

    /// A service is built and begins to serve. Never returns if the process already exits.
    pub(super) fn begin(&self, load: Load) {
        let mut serving = self.serving();
        match &mut *serving {
            ServingState::Serving(loads) => loads.push(load),
            ServingState::Building => *serving = ServingState::Serving(vec![load]),
            ServingState::Exiting => {
                drop(serving);
                loop {
                    thread::park();
                }
            }
        }
    }

    /// Closes this number of connections with their next response.
    pub(super) fn shed(&self, connections: usize) {
        if let ServingState::Serving(loads) = &*self.serving() {
            // A worker of a supervisor has one service.
            loads.iter().for_each(|load| load.shed(connections));
        }
    }

    /// The program is going to stop: reports that it is not ready for new requests.
    pub(super) fn not_ready(&self) {
        self.0.announcer.announce(Phase::Stopping);
    }

    /// Drains within the graceful timeout. If there is a supervisor, another process may continue.
    pub(super) fn drain(&self) {
        self.drain_within(self.0.graceful_timeout, self.0.supervisor.is_none());
    }

    /// Drains because the program stops.
    pub(super) fn drain_last(&self, left: Duration) {
        self.drain_within(left, true);
    }

    fn drain_within(&self, left: Duration, is_final: bool) {
        self.0.announcer.announce(Phase::Draining);
        self.begin_drain(left, IDLE, u64::MAX, is_final);
    }

    /// Drains because another worker has taken over. A stop may still follow.
    pub(super) fn retire_within(&self, left: Duration, idle: Duration, queues: u64) {
        self.begin_drain(left, idle, queues, false);
    }

    /// Drains. A further call can only shorten the time of idle connections; the first deadline holds. The process exits
    /// shortly after the deadline even if its event loop is stuck.
    fn begin_drain(&self, left: Duration, idle: Duration, queues: u64, is_final: bool) {
        let mut serving = self.serving();
        if !matches!(*serving, ServingState::Serving(_)) {
            *serving = ServingState::Exiting;
            drop(serving);
            // No connection was accepted yet, so none is lost.
            self.quit();
        }
        drop(serving);
        let deadline = Instant::now() + left;
        let mut first = false;
        self.0.drain.send_if_modified(|drain| match drain {
            None => {
                first = true;
                *drain = Some(DrainRequest {
                    deadline,
                    idle,
                    queues,
                    is_final,
                });
                true
            }
            Some(drain) => {
                let longer = drain.idle > idle;
                drain.idle = drain.idle.min(idle);
                longer
            }
        });
        if !first {
            return;
        }
        if self.0.supervisor.is_none() {
            log_stopping(left);
        }
        if let Err(error) = self.clone().enforce(deadline) {
            tracing::error!(%error, "cannot start the thread that enforces the deadline");
        }
    }

    /// Starts a thread that ends the process shortly after the deadline.
    fn enforce(self, deadline: Instant) -> io::Result<()> {
        let enforce = move || {
            thread::sleep((deadline + GRACE).saturating_duration_since(Instant::now()));
            tracing::error!("the event loop is stuck at the deadline of the stop");
            self.quit()
        };
        thread::Builder::new()
            .name("deadline".into())
            .spawn(enforce)
            .map(drop)
    }

    /// Exits at once.
    pub(super) fn quit(&self) -> ! {
        let requests = match &*self.serving() {
            ServingState::Serving(loads) => loads.iter().map(Load::requests).sum(),
            ServingState::Building | ServingState::Exiting => 0,
        };
        self.report(requests);
        server_log::flush();
        // Exit handlers of the application's libraries may be stuck as well.
        let _ = thread::Builder::new().spawn(|| {
            thread::sleep(GRACE);
            let _ = kill_process(getpid(), Signal::KILL);
        });
        process::exit(0)
    }

    /// Reports how many requests did not finish.
    pub(super) fn report(&self, requests: usize) {
        if let Some(supervisor) = &self.0.supervisor {
            // A supervisor that is gone needs no report.
            let _ = supervisor.send(&ToSupervisor::Cut { requests }, &[]);
        } else {
            log_cut(requests);
        }
    }

    /// Does what signals ask of this process.
    pub(super) async fn handle_signals(self, mut signals: Signals) {
        let why = match &self.0.supervisor {
            Some(_) => {
                "signal ignored: only the supervisor reloads, upgrades and scales; send the signal to it"
            }
            None => {
                "signal ignored: without workers there is nothing to replace; run with 1 or more"
            }
        };
        let ignored = || tracing::warn!("{why}");
        if signals.stop(ignored, reopen_logs).await == SignalRequest::Drain
            && self.delay(&mut signals, ignored).await == SignalRequest::Drain
        {
            self.drain();
            signals.stop(ignored, reopen_logs).await;
        }
        tracing::warn!("stopping at once");
        self.quit()
    }

    /// Keeps serving for the delay before a stop, and reports that it is not ready. A second signal ends the delay.
    async fn delay(&self, signals: &mut Signals, ignored: impl Fn()) -> SignalRequest {
        let delay = self.0.shutdown_delay;
        if delay.is_zero() || !matches!(*self.serving(), ServingState::Serving(_)) {
            return SignalRequest::Drain;
        }
        log_shutdown_delay(delay);
        self.not_ready();
        tokio::select! {
            _ = signals.stop(ignored, reopen_logs) => SignalRequest::Quit,
            () = tokio::time::sleep(delay) => SignalRequest::Drain,
        }
    }

    fn serving(&self) -> MutexGuard<'_, ServingState> {
        self.0
            .serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn reopen_logs() {
    log_writer::reopen_all();
    tracing::info!("log files of this process opened again");
}
