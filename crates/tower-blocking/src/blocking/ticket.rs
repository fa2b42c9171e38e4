use super::BlockingPool;

/// A job's place in the queue.
pub(super) struct Ticket {
    pool: BlockingPool,
    id: u64,
    done: bool,
}

impl Ticket {
    pub(super) fn new(pool: &BlockingPool, id: u64) -> Self {
        Self {
            pool: pool.clone(),
            id,
            done: false,
        }
    }

    /// The job has run.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let shared = self.pool.shared();
        let mut queue = shared.queue();
        let cancelled = queue.cancel(self.id);
        if cancelled.is_none() {
            queue.abandon(self.id);
        }
        let idle = queue.is_idle();
        // What it carries is dropped without the lock.
        drop(queue);
        drop(cancelled);
        if idle {
            shared.idle.notify_waiters();
        }
    }
}
