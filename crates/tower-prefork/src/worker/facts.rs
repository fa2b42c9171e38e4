use std::sync::Arc;

use crate::config::Config;

/// The worker process that a service is built for.
#[derive(Clone, Debug)]
pub struct Worker {
    server: Arc<str>,
    slot: usize,
    config: Arc<Config>,
}

impl Worker {
    pub(super) fn new(server: &str, slot: usize, config: Config) -> Self {
        Self {
            server: server.into(),
            slot,
            config: Arc::new(config),
        }
    }

    /// The server's name, as given to [`Server::new`](crate::Server::new).
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Which of the server's workers this is, from 0. A worker that replaces another has its
    /// number, also while the other still finishes its requests.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// What is set for the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}
