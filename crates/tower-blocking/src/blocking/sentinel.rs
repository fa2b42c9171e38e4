use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::AbortHandle;

/// Says when a runtime is being shut down: it drops its tasks then.
pub(super) struct Sentinel {
    gone: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Sentinel {
    /// Of this thread's runtime. `tell` is called when it is shut down, or when this is dropped.
    pub(super) fn new(tell: impl Fn() + Send + 'static) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let at_end = AtEnd {
            gone: Arc::clone(&gone),
            tell,
        };
        let task = tokio::spawn(async move {
            let _at_end = at_end;
            pending::<()>().await;
        });
        Self {
            gone,
            task: task.abort_handle(),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct AtEnd<F: Fn()> {
    gone: Arc<AtomicBool>,
    tell: F,
}

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
        (self.tell)();
    }
}
