//! Limits a log line to one a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(60);

/// Passes one event a minute, and counts those that it suppresses.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<ThrottleState>);

#[derive(Debug)]
struct ThrottleState {
    last: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(ThrottleState {
            last: None,
            suppressed: 0,
        }))
    }

    /// Records an event. If it may be logged, returns the number of events since the last logged one, including this one.
    pub(crate) fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.suppressed += 1;
        let last = state.last;
        if last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_passes_with_the_number_of_all() {
        let throttle = Throttle::new();
        let start = Instant::now();
        assert_eq!(throttle.pass(start), Some(1));
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start + INTERVAL / 2), None);
        assert_eq!(throttle.pass(start + INTERVAL), Some(3));
        assert_eq!(throttle.pass(start + INTERVAL), None);
    }
}
