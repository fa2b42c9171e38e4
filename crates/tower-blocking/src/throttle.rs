//! A line of the log that is written at most once a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(60);

/// Lets one event a minute through, and counts those that it holds back.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            last: None,
            held_back: 0,
        }))
    }

    /// Whether the event may be logged at `now`; then how many there were since the last one that was, with this.
    pub(crate) fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.held_back += 1;
        let last = state.last;
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
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
        assert_eq!(throttle.pass(start + PAUSE / 2), None);
        assert_eq!(throttle.pass(start + PAUSE), Some(3));
        assert_eq!(throttle.pass(start + PAUSE), None);
    }
}
