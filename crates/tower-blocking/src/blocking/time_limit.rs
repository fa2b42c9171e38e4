//! The limit of the wait in the queue: one timer for all jobs. One for each would cost more than the rest of
//! its wait.

use std::{pin::pin, sync::Arc};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

use super::{queue::Queue, shared::Shared};

/// Refuses the jobs that have waited too long, while any wait. Each runtime that adds jobs has its own,
/// because another one may stand still.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// Of this runtime, while the queue counts on it.
    runtime: Option<Id>,
}

impl Keeper {
    /// For the job that was just added to `queue`, if this runtime has none yet.
    pub(super) fn needed(queue: &mut Queue, shared: &Arc<Shared>) -> Option<Self> {
        let runtime = Handle::current().id();
        if queue.keepers.contains(&runtime) {
            return None;
        }
        queue.keepers.push(runtime);
        Some(Self {
            shared: Arc::clone(shared),
            runtime: Some(runtime),
        })
    }

    /// Looks at the queue at this time first. Not to be called with the lock.
    pub(super) fn start(self, first: Instant) {
        let sleep = sleep_until(first);
        tokio::spawn(self.keep(sleep));
    }

    async fn keep(mut self, first: Sleep) {
        let mut sleep = pin!(first);
        loop {
            sleep.as_mut().await;
            let Some(next) = self.refuse_late() else {
                return;
            };
            sleep.as_mut().reset(next);
        }
    }

    /// Gives the time of the next look.
    fn refuse_late(&mut self) -> Option<Instant> {
        let (late, next, idle) = {
            let mut queue = self.shared.queue();
            let now = Instant::now();
            let late = queue.take_late(now);
            let next = queue.next_look(now);
            if next.is_none() {
                leave(&mut queue, self.runtime.take());
            }
            (late, next, queue.is_idle())
        };
        // Their clients learn of it.
        drop(late);
        if idle {
            self.shared.idle.notify_waiters();
        }
        next
    }
}

impl Drop for Keeper {
    /// The runtime may have ended.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            leave(&mut self.shared.queue(), Some(runtime));
        }
    }
}

fn leave(queue: &mut Queue, keeper: Option<Id>) {
    queue.keepers.retain(|id| Some(*id) != keeper);
}
