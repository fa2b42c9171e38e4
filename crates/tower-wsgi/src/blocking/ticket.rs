use std::time::Duration;

use super::BlockingPool;

/// A job's place in the queue.
pub(super) struct Ticket {
    pool: BlockingPool,
    id: u64,
    /// How long the job may wait; `None` if a thread was free for it.
    pub(super) queue_timeout: Option<Duration>,
    done: bool,
}

impl Ticket {
    pub(super) fn new(pool: &BlockingPool, id: u64, queue_timeout: Option<Duration>) -> Self {
        Self {
            pool: pool.clone(),
            id,
            queue_timeout,
            done: false,
        }
    }

    /// The job has run.
    pub(super) fn done(mut self) {
        self.done = true;
    }

    /// Takes the job out of the queue, if it does not run yet.
    fn cancel(&self) -> bool {
        let shared = self.pool.shared();
        let (job, idle) = {
            let mut queue = shared.queue();
            (queue.cancel(self.id), queue.is_idle())
        };
        if idle {
            shared.idle.notify_waiters();
        }
        job.is_some()
    }

    /// Takes the job out of the queue because it waited too long, if it does not run yet.
    pub(super) fn refuse(&self) -> bool {
        let cancelled = self.cancel();
        if cancelled {
            self.pool.shared().queue().refused += 1;
        }
        cancelled
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done && !self.cancel() {
            self.pool.shared().queue().abandon(self.id);
        }
    }
}
