use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

use super::WaitForBody;
use crate::budget::Budget;

/// Waits for the whole request body. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct WaitForBodyLayer {
    pub(super) settings: Settings,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limit: u64,
    pub(super) timeout: Duration,
    pub(super) memory_threshold: usize,
    pub(super) budget: Arc<Budget>,
}

impl WaitForBodyLayer {
    /// Waits for bodies of at most `limit` bytes; a larger one is answered with 413.
    ///
    /// The limit has no default: it is the one number that only the application knows.
    pub fn new(limit: u64) -> Self {
        Self {
            settings: Settings {
                limit,
                timeout: Duration::from_secs(60),
                memory_threshold: 1 << 20,
                budget: Budget::new(64 << 20),
            },
        }
    }

    /// How long a body may take from the call to its last byte, 60 seconds by default. After it the
    /// client gets 408.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The bytes of one body that stay in memory, 1 MiB by default. A larger one goes to a temporary
    /// file.
    pub fn memory_threshold(mut self, bytes: usize) -> Self {
        self.settings.memory_threshold = bytes;
        self
    }

    /// The bytes of memory for all bodies of this layer and its clones together, 64 MiB by default.
    /// Beyond it every body goes to a temporary file, with 64 KiB of memory while it is written.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.settings.budget = Budget::new(bytes);
        self
    }
}

impl<S> Layer<S> for WaitForBodyLayer {
    type Service = WaitForBody<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WaitForBody {
            inner,
            settings: self.settings.clone(),
        }
    }
}
