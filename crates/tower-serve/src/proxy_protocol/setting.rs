//! Whose headers a server takes, and what it logs of the others.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::TrustedPeers;

/// Between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(60);

/// Each connection of a server begins with a header of the PROXY protocol.
#[derive(Debug)]
pub(crate) struct ProxyProtocol {
    /// Who may send one.
    pub(crate) peers: TrustedPeers,
    refused: Mutex<RefusedConnections>,
}

/// Connections that were closed and are not in the log yet.
#[derive(Debug, Default)]
struct RefusedConnections {
    count: u64,
    logged: Option<Instant>,
}

impl ProxyProtocol {
    pub(crate) fn new(peers: TrustedPeers) -> Self {
        Self {
            peers,
            refused: Mutex::default(),
        }
    }

    /// Logs that a connection was closed; further ones are only counted for a minute.
    pub(crate) fn log_refused(&self, peer: Option<SocketAddr>, reason: &dyn fmt::Display) {
        let peer = peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
        let Some(connections) = self.count(Instant::now()) else {
            return;
        };
        tracing::warn!(
            %peer,
            %reason,
            connections,
            "a connection was closed because of its PROXY protocol; connections counts those since the last such line"
        );
    }

    /// The number of connections since the last line, if this one is to have a line.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        let is_recent = |at: Instant| now.saturating_duration_since(at) < INTERVAL;
        if refused.logged.is_some_and(is_recent) {
            return None;
        }
        refused.logged = Some(now);
        Some(std::mem::take(&mut refused.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_counts_all() {
        let protocol = ProxyProtocol::new(TrustedPeers::default());
        let start = Instant::now();
        assert_eq!(protocol.count(start), Some(1));
        assert_eq!(protocol.count(start + INTERVAL / 2), None);
        assert_eq!(protocol.count(start + INTERVAL), Some(2));
    }
}
