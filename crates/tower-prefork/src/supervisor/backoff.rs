//! The delay before a worker that died is started again.

use std::time::Duration;

/// A worker that was ready for this time has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// The same for a worker that was ready. Its start works, and its siblings have its requests during the wait.
const LONGEST_AFTER_READY: Duration = Duration::from_secs(1);

/// The delay before a slot starts its next worker.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// The delay after a death: none at first, then 100 ms, doubling up to 30 s, or up to 1 s after a worker that was ready.
    /// Each varies by chance, so that workers that died together do not start together.
    pub(super) fn after(&mut self, ready_for: Option<Duration>) -> Duration {
        if ready_for.is_some_and(|time| time >= RECOVERED) {
            self.deaths = 0;
        }
        let longest = ready_for.map_or(LONGEST, |_| LONGEST_AFTER_READY);
        let doublings = self.deaths.checked_sub(1);
        self.deaths = self.deaths.saturating_add(1);
        doublings.map_or(Duration::ZERO, |doublings| {
            let wait = FIRST.saturating_mul(1 << doublings.min(16)).min(longest);
            // By a fifth, so that the next delay is always longer.
            wait.mul_f64(0.8 + 0.4 * fastrand::f64()).min(longest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_from_none_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.after(None)).collect();
        assert_eq!(waits[0], Duration::ZERO);
        assert!((Duration::from_millis(80)..=Duration::from_millis(120)).contains(&waits[1]));
        assert!(waits[..9].is_sorted_by(|a, b| a < b), "{waits:?}");
        assert!(waits[12..].iter().all(|wait| *wait >= LONGEST * 4 / 5));
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        // Shorter after a worker that was ready.
        assert!(backoff.after(Some(Duration::ZERO)) <= LONGEST_AFTER_READY);
    }

    #[test]
    fn a_worker_that_lived_long_resets_the_delay() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Some(Duration::from_secs(59)));
        }
        assert_eq!(backoff.after(Some(RECOVERED)), Duration::ZERO);
        assert!(backoff.after(Some(Duration::ZERO)) > Duration::ZERO);
    }
}
