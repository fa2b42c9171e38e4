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

use super::{out_of_memory::OomKills, program::Program};
use crate::{config::Config, hooks::ProcessHooks, listener::Bound, operator::WorkerStatus};

/// How long an idle connection of a retired worker may wait for one more request, which is
/// answered and told to be the last. Few clients that are still there pause for longer.
const IDLE: Duration = Duration::from_secs(5);

/// The same when new code is to answer soon: long enough to read a request that is already there.
const IDLE_IN_DEVELOPMENT: Duration = Duration::from_millis(10);

/// One server, as the supervisor and its slots see it.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) program: Program,
    pub(super) oom_kills: Arc<OomKills>,
    /// Who wants to be told of the processes.
    pub(super) hooks: ProcessHooks,
    /// Workers that are worn out are replaced one after another: each takes this turn.
    pub(super) turn: Arc<Semaphore>,
    current: Mutex<Current>,
    established: AtomicBool,
    /// Whether the program will stop, and new requests had better go elsewhere.
    stopping: watch::Sender<bool>,
    /// Changes whenever the workers are to open the files of their logs again.
    reopened: watch::Sender<()>,
    /// What each slot says of its processes; slots of the same index are told apart by a number.
    board: Mutex<BTreeMap<(usize, u64), Vec<WorkerStatus>>>,
    numbers: AtomicU64,
}

/// What workers are started with.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) config: Arc<Config>,
    /// Held by the supervisor alone, so that it can close them.
    pub(super) bound: Weak<Bound>,
}

impl Fleet {
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
            turn: Arc::new(Semaphore::new(1)),
            current: Mutex::new(Current {
                config: Arc::new(config),
                bound: Arc::downgrade(bound),
            }),
            established: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
            reopened: watch::Sender::new(()),
            board: Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(super) fn current(&self) -> Current {
        lock(&self.current).clone()
    }

    pub(super) fn config(&self) -> Arc<Config> {
        lock(&self.current).config.clone()
    }

    /// Workers are started with this from now on. Gives what it was before.
    pub(super) fn change(&self, current: Current) -> Current {
        std::mem::replace(&mut lock(&self.current), current)
    }

    /// Each slot has had a worker that was ready: from now on one that dies is replaced, whatever it did before.
    pub(super) fn establish(&self) {
        self.established.store(true, Relaxed);
    }

    /// The program will stop: the workers that serve, and those that follow them, are not ready.
    pub(super) fn stops(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// The workers are to open the files of their logs again.
    pub(super) fn reopen_logs(&self) {
        self.reopened.send_replace(());
    }

    pub(super) fn reopened(&self) -> watch::Receiver<()> {
        self.reopened.subscribe()
    }

    pub(super) fn is_established(&self) -> bool {
        self.established.load(Relaxed)
    }

    /// Files are watched: new code is to answer soon, and nobody minds a request that is cut.
    pub(super) fn is_in_development(&self) -> bool {
        !self.config().watched().is_empty()
    }

    /// When a worker that retires now is to have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config().graceful_timeout
    }

    /// How long a retired worker keeps idle connections.
    pub(super) fn retired_idle(&self) -> Duration {
        if self.is_in_development() {
            return IDLE_IN_DEVELOPMENT;
        }
        // Before the deadline, at which they would be cut.
        IDLE.min(self.config().graceful_timeout / 2)
    }

    /// A number for a slot.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// A slot says what its processes do; without any it is gone.
    pub(super) fn post(&self, slot: (usize, u64), workers: Vec<WorkerStatus>) {
        let mut board = lock(&self.board);
        if workers.is_empty() {
            board.remove(&slot);
        } else {
            board.insert(slot, workers);
        }
    }

    /// What all processes do, in the order of their slots.
    pub(super) fn workers(&self) -> Vec<WorkerStatus> {
        lock(&self.board).values().flatten().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
