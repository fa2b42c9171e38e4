//! What the handles, the threads and the timers of one pool share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::{
    pipe::PipeBudget,
    queue::{Queue, QueueLimits},
    queue_timeout::QueueTimeout,
    scaling::Dispatch,
    spawner::Spawner,
    thread::PoolThread,
    thread_guard::ThreadGuard,
};

/// A pool: its queue behind a lock, and the ways to wake those who wait for it.
pub(super) struct PoolShared {
    queue: Mutex<Queue>,
    /// Notified when there is work, or the pool is closed.
    pub(super) work: Condvar,
    /// Notified when no job waits or runs.
    pub(super) idle: Notify,
    pub(super) pipe_budget: Arc<PipeBudget>,
    pub(super) spawner: Arc<Spawner>,
    /// What the threads hold while they run jobs, if anything.
    pub(super) guard: OnceLock<Arc<ThreadGuard>>,
}

impl PoolShared {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            queue: Mutex::new(Queue::new(limits)),
            work: Condvar::new(),
            idle: Notify::new(),
            pipe_budget: PipeBudget::new(64 << 20, 1 << 30, 64 << 20),
            spawner: Spawner::new(),
            guard: OnceLock::new(),
        }
    }

    /// Must not be called under the lock.
    pub(super) fn dispatch(this: &Arc<Self>, dispatch: Dispatch) {
        match dispatch {
            Dispatch::Nothing => {}
            Dispatch::Wake => this.work.notify_one(),
            Dispatch::Start => PoolThread::start(this),
        }
    }

    /// Starts a timer for the jobs whose wait is limited, if this runtime has none yet.
    pub(super) fn start_queue_timeout(this: &Arc<Self>) {
        let timeout = {
            let mut queue = this.queue();
            let check = queue.next_check(tokio::time::Instant::now());
            check.and_then(|check| {
                QueueTimeout::register(&mut queue, this).map(|timeout| (timeout, check))
            })
        };
        if let Some((timeout, check)) = timeout {
            timeout.start(check);
        }
    }

    pub(super) fn close(&self) {
        self.queue().close();
        self.wake_parked();
    }

    /// Has the parked threads check whether they still should stay.
    pub(super) fn wake_parked(&self) {
        // A thread that has just checked waits by the time that it has released the lock.
        drop(self.queue());
        self.work.notify_all();
    }

    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.queue.try_lock().is_ok()
    }

    // No job runs under the lock, so the queue behind a poisoned one is consistent.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
