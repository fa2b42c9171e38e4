use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::program::Program;
use crate::{config::Config, listener::Bound};

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
    /// Held by the supervisor alone, so that it can close them.
    pub(super) bound: Weak<Bound>,
    pub(super) start_timeout: Duration,
    pub(super) heartbeat_timeout: Duration,
    pub(super) graceful_timeout: Duration,
    /// Files are watched: new code is to answer soon, and nobody minds a request that is cut.
    pub(super) development: bool,
    established: AtomicBool,
}

impl Fleet {
    pub(super) fn new(
        index: usize,
        name: String,
        program: Program,
        bound: &Arc<Bound>,
        config: &Config,
    ) -> Self {
        Self {
            index,
            name,
            program,
            bound: Arc::downgrade(bound),
            start_timeout: config.start_timeout,
            heartbeat_timeout: config.heartbeat_timeout,
            graceful_timeout: config.graceful_timeout,
            development: !config.watched().is_empty(),
            established: AtomicBool::new(false),
        }
    }

    /// All workers were ready at once: from now on a worker that dies is replaced.
    pub(super) fn establish(&self) {
        self.established.store(true, Relaxed);
    }

    pub(super) fn is_established(&self) -> bool {
        self.established.load(Relaxed)
    }

    /// How long a retired worker keeps idle connections.
    pub(super) fn retired_idle(&self) -> Duration {
        if self.development {
            return IDLE_IN_DEVELOPMENT;
        }
        // Before the deadline, at which they would be cut.
        IDLE.min(self.graceful_timeout / 2)
    }
}
