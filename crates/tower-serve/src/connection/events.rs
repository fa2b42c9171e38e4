//! The hooks that are called when a connection opens, and when it has ended.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{ConnectInfo, Shared, progress::Progress};
use crate::error::panic_text;

/// A step in the life of a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ConnectionStep {
    /// It was accepted.
    Opened,
    /// It has ended, by either side.
    Closed {
        /// The requests that came on it, with those that were refused.
        requests: u64,
    },
}

type OnConnection = dyn Fn(&ConnectInfo, ConnectionStep) + Send + Sync;

/// What is called at the steps of connections.
#[derive(Clone, Default)]
pub struct ConnectionHooks(Vec<Arc<OnConnection>>);

impl ConnectionHooks {
    /// Adds a hook.
    pub fn add(&mut self, hook: impl Fn(&ConnectInfo, ConnectionStep) + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls each of them. One that panics is logged, and the others are called.
    pub(super) fn call(&self, connection: &ConnectInfo, step: ConnectionStep) {
        for hook in &self.0 {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(connection, step))) {
                tracing::error!(panic = panic_text(&*panic), "a hook panicked");
            }
        }
    }
}

impl fmt::Debug for ConnectionHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHooks").finish_non_exhaustive()
    }
}

/// A connection whose end somebody wants to be told of.
pub(super) struct ConnectionEvents {
    shared: Arc<Shared>,
    connection: ConnectInfo,
    progress: Arc<Progress>,
}

impl ConnectionEvents {
    /// Nothing, when nobody does.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        connection: &ConnectInfo,
        progress: &Arc<Progress>,
    ) -> Option<Self> {
        if shared.hooks.is_empty() {
            return None;
        }
        shared.hooks.call(connection, ConnectionStep::Opened);
        Some(Self {
            shared: shared.clone(),
            connection: connection.clone(),
            progress: progress.clone(),
        })
    }
}

impl Drop for ConnectionEvents {
    fn drop(&mut self) {
        let requests = self.progress.calls();
        let closed = ConnectionStep::Closed { requests };
        self.shared.hooks.call(&self.connection, closed);
    }
}
