//! Whether a thread that found no job spins for a moment before it sleeps.
//!
//! Where the event loop waits for the thread's core, a yield lets it add many jobs, and saves a wake-up for each of
//! them. Where both have a core of their own, spinning finds no job and only costs time. So each thread adapts.

use std::{hint, num::NonZero, sync::OnceLock, thread, time::Duration};

/// How long a thread without work spins before it sleeps.
const SPIN: Duration = Duration::from_micros(50);

/// After this number of consecutive misses the pauses between spins stop growing.
const MAX_MISSES: u32 = 6;

/// Remembers whether the spins of one thread found jobs.
#[derive(Debug, Default)]
pub(super) struct AdaptiveSpin {
    misses: u32,
    /// The number of times that the thread goes to sleep without a spin.
    pause: u32,
}

impl AdaptiveSpin {
    /// Whether to spin this time, if the thread `may`: always after a hit, and less often after each miss.
    pub(super) fn is_due(&mut self, may: bool) -> bool {
        if !may {
            return false;
        }
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// Whether a spin ends although it found no job.
    pub(super) fn is_over(took: Duration) -> bool {
        took >= SPIN
    }

    /// Records a spin, which found a job or did not. One that took too long counts as a miss: where other programs want
    /// the core, they get it for milliseconds, while a thread that sleeps gets it back at once.
    pub(super) fn record(&mut self, took: Duration, found: bool) {
        if found && took < 2 * SPIN {
            *self = Self::default();
        } else {
            self.misses = (self.misses + 1).min(MAX_MISSES);
            self.pause = 1 << self.misses;
        }
    }
}

/// Waits for a moment without sleeping: yields the core where there is only one, otherwise keeps it.
pub(super) fn spin_or_yield() {
    if has_single_core() {
        thread::yield_now();
    } else {
        (0..50).for_each(|_| hint::spin_loop());
    }
}

/// Yields to the thread that woke this one: on a single core it was interrupted, and may have more jobs to add.
pub(super) fn yield_on_single_core() {
    if has_single_core() {
        thread::yield_now();
    }
}

fn has_single_core() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get));
    *cores == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_make_spins_rare_and_a_hit_resets_that() {
        let mut spin = AdaptiveSpin::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let mut pause = 0;
            while !spin.is_due(true) {
                pause += 1;
            }
            spin.record(SPIN, false);
            pauses.push(pause);
        }
        assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 64, 64]);
        while !spin.is_due(true) {}
        spin.record(2 * SPIN, true);
        assert!(!spin.is_due(true), "too late is a miss");
        while !spin.is_due(true) {}
        spin.record(2 * SPIN - Duration::from_nanos(1), true);
        assert!(spin.is_due(true) && spin.is_due(true));
    }

    #[test]
    fn a_spin_that_is_not_allowed_uses_up_no_pause_and_one_without_a_job_ends() {
        let mut spin = AdaptiveSpin::default();
        assert!(!spin.is_due(false));
        assert!(spin.is_due(true));
        spin.record(SPIN, false);
        assert!((0..100).all(|_| !spin.is_due(false)));
        let pauses = (0..2).map(|_| spin.is_due(true));
        assert!(pauses.eq([false, false]));
        assert!(spin.is_due(true));
        assert!(AdaptiveSpin::is_over(SPIN) && !AdaptiveSpin::is_over(SPIN / 2));
    }
}
