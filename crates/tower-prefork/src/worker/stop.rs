use std::{
    io, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::watch;

use crate::{
    control::{Socket, ToSupervisor},
    server_log,
    signals::{Request, Signals},
    supervisor::{log_delay, log_stopping},
    system::Announcer,
};
use tower_serve::{Load, internal::log_writer};

/// What the event loop and the runtime get, after the deadline, to end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// How long idle connections stay open when the program stops: long enough to read a request that
/// has already arrived.
const IDLE: Duration = Duration::from_millis(10);

/// How this process is told to stop, and made to keep the deadline.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    drain: watch::Sender<Option<Drain>>,
    phase: Mutex<Phase>,
    supervisor: Option<Arc<Socket>>,
    announcer: Announcer,
    graceful_timeout: Duration,
    shutdown_delay: Duration,
}

/// How this process is to drain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// What runs then is cut.
    pub(super) deadline: Instant,
    /// How long idle connections may wait for their last request.
    pub(super) idle: Duration,
    /// A bit for each listener, in their order, whose queued connections nobody else takes.
    pub(super) queues: u64,
    /// No other process takes over: the listeners end with this one, in every process that has a copy.
    pub(super) for_good: bool,
}

impl Drain {
    /// For a server that nobody takes over from.
    pub(super) fn for_good(left: Duration) -> Self {
        Self {
            deadline: Instant::now() + left,
            idle: IDLE,
            queues: u64::MAX,
            for_good: true,
        }
    }
}

#[derive(Debug)]
enum Phase {
    /// No service is built yet.
    Building,
    /// What is to be finished before the end.
    Serving(Vec<Load>),
    Ending,
}

impl Stop {
    /// For a worker, whose supervisor sees to the delay of a stop.
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
    pub(super) fn alone(
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
        Self(Arc::new(Inner {
            drain: watch::Sender::new(None),
            phase: Mutex::new(Phase::Building),
            supervisor,
            announcer,
            graceful_timeout,
            shutdown_delay,
        }))
    }

    /// Tells when to drain, and how.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Drain>> {
        self.0.drain.subscribe()
    }

    /// A service is built and begins to serve. Does not return when the process ends already.
    pub(super) fn begin(&self, load: Load) {
        let mut phase = self.phase();
        match &mut *phase {
            Phase::Serving(loads) => loads.push(load),
            Phase::Building => *phase = Phase::Serving(vec![load]),
            Phase::Ending => {
                drop(phase);
                loop {
                    thread::park();
                }
            }
        }
    }

    /// Has so many connections close with their next response.
    pub(super) fn shed(&self, connections: usize) {
        if let Phase::Serving(loads) = &*self.phase() {
            // A worker of a supervisor has one.
            loads.iter().for_each(|load| load.shed(connections));
        }
    }

    /// The program will stop: new requests had better go elsewhere.
    pub(super) fn not_ready(&self) {
        self.0.announcer.announce(crate::Phase::Stopping);
    }

    /// Drains within the graceful time-out. With a supervisor, another process may go on.
    pub(super) fn drain(&self) {
        self.drain_within(self.0.graceful_timeout, self.0.supervisor.is_none());
    }

    /// Drains because the program stops.
    pub(super) fn drain_for_good(&self, left: Duration) {
        self.drain_within(left, true);
    }

    fn drain_within(&self, left: Duration, for_good: bool) {
        self.0.announcer.announce(crate::Phase::Draining);
        self.begin_drain(left, IDLE, u64::MAX, for_good);
    }

    /// Drains because another worker has taken over. A stop may still follow.
    pub(super) fn retire_within(&self, left: Duration, idle: Duration, queues: u64) {
        self.begin_drain(left, idle, queues, false);
    }

    /// Drains. Afterwards only idle connections can be hurried; the first deadline holds. The
    /// process ends shortly after it even when its event loop is stuck.
    fn begin_drain(&self, left: Duration, idle: Duration, queues: u64, for_good: bool) {
        let mut phase = self.phase();
        if !matches!(*phase, Phase::Serving(_)) {
            *phase = Phase::Ending;
            drop(phase);
            // Nothing was accepted yet, so nothing is lost.
            self.quit();
        }
        drop(phase);
        let deadline = Instant::now() + left;
        let mut first = false;
        self.0.drain.send_if_modified(|drain| match drain {
            None => {
                first = true;
                *drain = Some(Drain {
                    deadline,
                    idle,
                    queues,
                    for_good,
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
            tracing::error!(%error, "cannot start the thread that keeps the deadline");
        }
    }

    /// Starts a thread that ends the process after the deadline, unless it has ended by then.
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

    /// Ends the process at once.
    pub(super) fn quit(&self) -> ! {
        let requests = match &*self.phase() {
            Phase::Serving(loads) => loads.iter().map(Load::requests).sum(),
            Phase::Building | Phase::Ending => 0,
        };
        self.report(requests);
        server_log::flush();
        // Exit handlers of the application's libraries may be stuck, too.
        let _ = thread::Builder::new().spawn(|| {
            thread::sleep(GRACE);
            let _ = kill_process(getpid(), Signal::KILL);
        });
        process::exit(0)
    }

    /// Says how many requests did not finish.
    pub(super) fn report(&self, requests: usize) {
        if let Some(supervisor) = &self.0.supervisor {
            // A supervisor that is gone needs no report.
            let _ = supervisor.send(&ToSupervisor::Cut { requests }, &[]);
        } else if requests > 0 {
            tracing::warn!(requests, "requests were cut before they were done");
        }
    }

    /// Does what the operator asks of this process.
    pub(super) async fn obey(self, mut signals: Signals) {
        let why = match &self.0.supervisor {
            Some(_) => {
                "a signal is ignored: only the supervisor reloads, upgrades and scales; send it there"
            }
            None => {
                "a signal is ignored: without workers there is nothing to replace; run with 1 or more"
            }
        };
        let ignored = || tracing::warn!("{why}");
        if signals.stop(ignored, reopen_logs).await == Request::Drain
            && self.delay(&mut signals, ignored).await == Request::Drain
        {
            self.drain();
            signals.stop(ignored, reopen_logs).await;
        }
        tracing::warn!("stopping at once");
        self.quit()
    }

    /// Goes on for a while, but for readiness. Then it is time to drain, unless an operator asks again.
    async fn delay(&self, signals: &mut Signals, ignored: impl Fn()) -> Request {
        let delay = self.0.shutdown_delay;
        if delay.is_zero() || !matches!(*self.phase(), Phase::Serving(_)) {
            return Request::Drain;
        }
        log_delay(delay);
        self.not_ready();
        tokio::select! {
            _ = signals.stop(ignored, reopen_logs) => Request::Quit,
            () = tokio::time::sleep(delay) => Request::Drain,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reopen_logs() {
    log_writer::reopen_all();
    tracing::info!("the logs of this process are opened again");
}
