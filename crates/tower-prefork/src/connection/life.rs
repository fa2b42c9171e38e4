use std::sync::Arc;

use super::{ConnectInfo, Shared, progress::Progress};
use crate::ConnectionStep;

/// A connection whose end somebody wants to be told of.
pub(super) struct Life {
    shared: Arc<Shared>,
    connection: ConnectInfo,
    progress: Arc<Progress>,
}

impl Life {
    /// Nothing, when nobody does.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        connection: &ConnectInfo,
        progress: &Arc<Progress>,
    ) -> Option<Self> {
        if !shared.hooks().want_connections() {
            return None;
        }
        shared
            .hooks()
            .connection(connection, ConnectionStep::Opened);
        Some(Self {
            shared: shared.clone(),
            connection: connection.clone(),
            progress: progress.clone(),
        })
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let requests = self.progress.calls();
        let closed = ConnectionStep::Closed { requests };
        self.shared.hooks().connection(&self.connection, closed);
    }
}
