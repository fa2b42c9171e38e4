//! How many tasks a loop has, and a permit for each.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The maximum number of requests and calls of a loop, from when they are queued until their task ends.
pub(crate) const MAX_TASKS: usize = 10_000;

/// The counters of a loop.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: AtomicUsize,
    finished: AtomicU64,
    refused: AtomicU64,
}

/// The permit of one task. Dropped, it ends the task for the counters.
#[derive(Debug)]
pub(super) struct Permit(Arc<Tasks>);

impl Tasks {
    /// `None` at the limit.
    pub(super) fn admit(this: &Arc<Self>) -> Option<Permit> {
        if this.running.fetch_add(1, Relaxed) >= MAX_TASKS {
            this.running.fetch_sub(1, Relaxed);
            this.refused.fetch_add(1, Relaxed);
            return None;
        }
        Some(Permit(Arc::clone(this)))
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Relaxed)
    }

    pub(super) fn finished(&self) -> u64 {
        self.finished.load(Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
        self.0.finished.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_permits_up_to_the_limit_and_again_when_one_is_dropped() {
        let tasks = Arc::new(Tasks::default());
        let mut permits: Vec<_> = (0..MAX_TASKS).map(|_| Tasks::admit(&tasks)).collect();
        assert!(permits.iter().all(Option::is_some));
        assert!(Tasks::admit(&tasks).is_none());
        permits.pop();
        assert!(Tasks::admit(&tasks).is_some());
        assert_eq!((tasks.finished(), tasks.refused()), (2, 1));
        assert_eq!(tasks.running(), MAX_TASKS - 1);
    }
}
