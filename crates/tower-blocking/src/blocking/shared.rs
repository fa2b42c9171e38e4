use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::{
    hold::Gate,
    job::Next,
    pipe::Room,
    queue::{Limits, Queue},
    spawner::Spawner,
    threads::Thread,
    time_limit::Keeper,
};

/// What a pool and its threads share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// There is work, or the pool is closed.
    pub(super) work: Condvar,
    /// No job waits or runs.
    pub(super) idle: Notify,
    pub(super) room: Arc<Room>,
    pub(super) spawner: Arc<Spawner>,
    /// What the threads hold while they run jobs.
    pub(super) gate: OnceLock<Arc<Gate>>,
}

impl Shared {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            queue: Mutex::new(Queue::new(limits)),
            work: Condvar::new(),
            idle: Notify::new(),
            room: Room::new(64 << 20, 1 << 30, 64 << 20),
            spawner: Spawner::new(),
            gate: OnceLock::new(),
        }
    }

    /// Sends the next thread.
    pub(super) fn send(this: &Arc<Self>, next: Next) {
        match next {
            Next::Wait => {}
            Next::Wake => this.work.notify_one(),
            Next::Start => Thread::start(this),
        }
    }

    /// Sees to the time limit of the jobs that wait.
    pub(super) fn keep_time(this: &Arc<Self>) {
        let keeper = {
            let mut queue = this.queue();
            let look = queue.next_look(tokio::time::Instant::now());
            look.and_then(|look| Keeper::needed(&mut queue, this).map(|keeper| (keeper, look)))
        };
        if let Some((keeper, look)) = keeper {
            keeper.start(look);
        }
    }

    pub(super) fn close(&self) {
        self.queue().close();
        self.let_go();
    }

    /// Has the threads without work look whether they still should stay.
    pub(super) fn let_go(&self) {
        // A thread that has just looked waits by the time that it has given the lock away.
        drop(self.queue());
        self.work.notify_all();
    }

    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.queue.try_lock().is_ok()
    }

    // No job runs under the lock, so a poisoned one is still in order.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
