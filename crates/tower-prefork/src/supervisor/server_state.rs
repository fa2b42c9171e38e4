//! The state of one server that the supervisor's event loop and its slots share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{exit_cause::OomKills, program::Program};
use crate::{config::Config, hooks::ProcessHooks, listener::Bound, operator::WorkerStatus};

/// How long an idle connection of a retired worker stays open for one more request, whose response says that it is the last.
/// Few active clients pause for longer.
const IDLE: Duration = Duration::from_secs(5);

/// The same in development, where new code should serve soon: long enough to read a request that has already arrived.
const IDLE_IN_DEVELOPMENT: Duration = Duration::from_millis(10);

/// The state of one server that the event loop and the slots share.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) program: Program,
    pub(super) oom_kills: Arc<OomKills>,
    pub(super) hooks: ProcessHooks,
    /// Workers are recycled one after another: the slot of each acquires the permit.
    pub(super) recycling: Arc<Semaphore>,
    setup: Mutex<WorkerSetup>,
    established: AtomicBool,
    /// Whether the program is going to stop, and is not ready for new requests.
    stopping: watch::Sender<bool>,
    /// Changes whenever the workers are to open their log files again.
    reopened: watch::Sender<()>,
    /// Changes whenever the workers are to use other certificates.
    certificates: watch::Sender<()>,
    /// The status of the processes of each slot. A unique number distinguishes slots with the same index.
    status: Mutex<BTreeMap<(usize, u64), Vec<WorkerStatus>>>,
    next_number: AtomicU64,
}

/// What workers are started with.
#[derive(Clone, Debug)]
pub(super) struct WorkerSetup {
    pub(super) config: Arc<Config>,
    /// Only the event loop holds them, so that it can close them.
    pub(super) bound: Weak<Bound>,
}

impl ServerState {
    pub(super) fn new(
        index: usize,
        name: String,
        program: Program,
        oom_kills: Arc<OomKills>,
        hooks: ProcessHooks,
        bound: &Arc<Bound>,
        config: Config,
    ) -> Self {
        Self {
            index,
            name,
            program,
            oom_kills,
            hooks,
            recycling: Arc::new(Semaphore::new(1)),
            setup: Mutex::new(WorkerSetup {
                config: Arc::new(config),
                bound: Arc::downgrade(bound),
            }),
            established: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
            reopened: watch::Sender::new(()),
            certificates: watch::Sender::new(()),
            status: Mutex::default(),
            next_number: AtomicU64::new(0),
        }
    }

    pub(super) fn setup(&self) -> WorkerSetup {
        lock(&self.setup).clone()
    }

    pub(super) fn config(&self) -> Arc<Config> {
        lock(&self.setup).config.clone()
    }

    /// Changes what workers are started with. Returns the previous setup.
    pub(super) fn change(&self, setup: WorkerSetup) -> WorkerSetup {
        std::mem::replace(&mut lock(&self.setup), setup)
    }

    /// Each slot has had a worker that was ready. From now on a worker that dies is always replaced.
    pub(super) fn establish(&self) {
        self.established.store(true, Relaxed);
    }

    /// The program is going to stop: its current and later workers are not ready for new requests.
    pub(super) fn announce_stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Makes the workers open their log files again.
    pub(super) fn reopen_logs(&self) {
        self.reopened.send_replace(());
    }

    pub(super) fn reopened(&self) -> watch::Receiver<()> {
        self.reopened.subscribe()
    }

    /// Sends the certificates of the settings to the workers.
    #[cfg(feature = "tls")]
    pub(super) fn send_certificates(&self) {
        self.certificates.send_replace(());
    }

    pub(super) fn certificates(&self) -> watch::Receiver<()> {
        self.certificates.subscribe()
    }

    pub(super) fn is_established(&self) -> bool {
        self.established.load(Relaxed)
    }

    /// Whether files are watched: new code should serve soon, and requests may be cut.
    pub(super) fn is_in_development(&self) -> bool {
        !self.config().watched().is_empty()
    }

    /// The deadline of a worker that retires now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config().graceful_timeout
    }

    /// How long a retired worker keeps idle connections.
    pub(super) fn retired_idle(&self) -> Duration {
        if self.is_in_development() {
            return IDLE_IN_DEVELOPMENT;
        }
        // Well before the deadline, at which they would be cut.
        IDLE.min(self.config().graceful_timeout / 2)
    }

    /// A unique number for a slot.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Relaxed)
    }

    /// Sets the status of a slot's processes. A slot without any is removed.
    pub(super) fn set_status(&self, slot: (usize, u64), workers: Vec<WorkerStatus>) {
        let mut status = lock(&self.status);
        if workers.is_empty() {
            status.remove(&slot);
        } else {
            status.insert(slot, workers);
        }
    }

    /// The status of all processes, in the order of their slots.
    pub(super) fn workers(&self) -> Vec<WorkerStatus> {
        lock(&self.status).values().flatten().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
