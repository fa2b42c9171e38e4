//! How long a busy worker leaves connections to its siblings.

use std::time::Duration;

use tower_serve::Load;

/// How long a busy worker leaves waiting connections to its siblings, and how many of them it accepts afterwards. It checks
/// several times whether connections wait: when the siblings keep up, they do not wait at every check.
#[derive(Debug, PartialEq)]
pub(super) struct AcceptBackoff {
    /// The wait before the first check.
    pub(super) first: Duration,
    pub(super) checks: u32,
    /// The wait before each of the other checks.
    pub(super) pause: Duration,
    /// The batch to accept, as a multiple of the number of threads.
    pub(super) batch: usize,
}

const BUSY: AcceptBackoff = AcceptBackoff {
    first: Duration::from_millis(2),
    checks: 4,
    pause: Duration::from_millis(1),
    batch: 1,
};

/// For a worker with stuck threads, whose connections may never get a thread. It is about a second, in which another worker
/// can start in its place.
const DEGRADED: AcceptBackoff = AcceptBackoff {
    first: Duration::from_millis(20),
    checks: 50,
    pause: Duration::from_millis(20),
    batch: 1,
};

/// The batch is doubled this many times at most.
const MAX_DOUBLINGS: u32 = 6;

impl AcceptBackoff {
    /// `uncontested`: how often in a row the siblings have left connections to this worker. They are busy as well, or there are
    /// none, so the waits become shorter and the batches larger.
    pub(super) fn new(load: &Load, uncontested: u32) -> Self {
        match (load.lost(), uncontested) {
            (0, 0) => BUSY,
            (0, _) => Self {
                first: BUSY.pause / (1 << uncontested.min(4)),
                checks: 1,
                batch: 1 << uncontested.min(MAX_DOUBLINGS),
                ..BUSY
            },
            _ => DEGRADED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_siblings_leave_connections() {
        let load = Load::new(0);
        let batch = |uncontested| AcceptBackoff::new(&load, uncontested).batch;
        assert_eq!([0, 1, 2, 6, 7, 99].map(batch), [1, 2, 4, 64, 64, 64]);
        assert!(AcceptBackoff::new(&load, 1).first < BUSY.first);
    }

    #[test]
    fn a_worker_with_a_stuck_thread_accepts_few_and_late() {
        let load = Load::new(0);
        assert!(load.set_lost(1));
        assert_eq!(AcceptBackoff::new(&load, 99), DEGRADED);
    }
}
