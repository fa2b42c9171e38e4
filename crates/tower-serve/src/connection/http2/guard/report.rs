//! The line in the log about clients that send too many frames.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::limits::FrameFault;

/// One line in this time: an attacker connects again at once.
const INTERVAL: Duration = Duration::from_secs(60);

/// The connections that were closed since the last line, and when that was.
#[derive(Debug)]
struct Closed {
    last: Option<Instant>,
    count: u64,
}

impl Closed {
    const fn new() -> Self {
        Self {
            last: None,
            count: 0,
        }
    }

    /// Counts one more. Returns the number to log, if it is time for a line.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let is_early = |last| now.saturating_duration_since(last) < INTERVAL;
        if self.last.is_some_and(is_early) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

/// Logs that a connection is closed because of too many frames, at most once a minute in the process. Of a client that does
/// not know the protocol, only a developer wants to know.
pub(super) fn report(fault: FrameFault) {
    if fault == FrameFault::NoSettings {
        tracing::debug!(reason = fault.text(), "an HTTP/2 connection is closed");
        return;
    }
    static CLOSED: Mutex<Closed> = Mutex::new(Closed::new());
    let mut closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(connections) = closed.add(Instant::now()) {
        tracing::warn!(
            reason = fault.text(),
            connections,
            "an HTTP/2 connection is closed because of its client's frames"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_counts_all_connections() {
        let mut closed = Closed::new();
        let start = Instant::now();
        assert_eq!(closed.add(start), Some(1));
        assert_eq!(closed.add(start + INTERVAL / 2), None);
        assert_eq!(closed.add(start + INTERVAL), Some(2));
    }
}
