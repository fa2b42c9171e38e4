//! The queue timeout: one timer for all jobs, as a timer for each would cost more than the rest of its wait.

use std::{pin::pin, sync::Arc};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

use super::{queue::Queue, shared::PoolShared};

/// Refuses the jobs that have waited too long, for as long as any job waits. Each runtime that submits jobs has its own,
/// because another runtime may be blocked.
pub(super) struct QueueTimeout {
    shared: Arc<PoolShared>,
    /// The runtime that runs the timer, for as long as the queue has it registered.
    runtime: Option<Id>,
}

impl QueueTimeout {
    /// Registers a timer for the job that was just added to `queue`, if this runtime has none yet.
    pub(super) fn register(queue: &mut Queue, shared: &Arc<PoolShared>) -> Option<Self> {
        let runtime = Handle::current().id();
        if queue.timers.contains(&runtime) {
            return None;
        }
        queue.timers.push(runtime);
        Some(Self {
            shared: Arc::clone(shared),
            runtime: Some(runtime),
        })
    }

    /// Starts the timer, which checks the queue at `first`. Must not be called under the lock.
    pub(super) fn start(self, first: Instant) {
        let sleep = sleep_until(first);
        tokio::spawn(self.run(sleep));
    }

    async fn run(mut self, first: Sleep) {
        let mut sleep = pin!(first);
        loop {
            sleep.as_mut().await;
            let Some(next) = self.refuse_late() else {
                return;
            };
            sleep.as_mut().reset(next);
        }
    }

    /// Returns the time of the next check.
    fn refuse_late(&mut self) -> Option<Instant> {
        let (late, next, idle) = {
            let mut queue = self.shared.queue();
            let now = Instant::now();
            let late = queue.take_late(now);
            let next = queue.next_check(now);
            if next.is_none() {
                unregister(&mut queue, self.runtime.take());
            }
            (late, next, queue.is_idle())
        };
        for (job, rejection) in late {
            job.refuse(rejection);
        }
        if idle {
            self.shared.idle.notify_waiters();
        }
        next
    }
}

impl Drop for QueueTimeout {
    /// The runtime may have ended.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            unregister(&mut self.shared.queue(), Some(runtime));
        }
    }
}

fn unregister(queue: &mut Queue, timer: Option<Id>) {
    queue.timers.retain(|id| Some(*id) != timer);
}
