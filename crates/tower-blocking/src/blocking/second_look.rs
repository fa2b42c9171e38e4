//! When a thread without work looks for it once more before it sleeps.
//!
//! Where the event loop waits for the thread's core, a look after a yield finds many jobs, and saves
//! a wake-up for each. Where both have a core, it finds none and only costs.

use std::{hint, num::NonZero, sync::OnceLock, thread, time::Duration};

/// How long a thread without work looks for more before it sleeps, where that has paid.
const LOOK: Duration = Duration::from_micros(50);

/// After so many looks in vain in a row, the pauses between looks grow no more.
const MOST_MISSES: u32 = 6;

/// Remembers whether the looks of one thread were worth it.
#[derive(Debug, Default)]
pub(super) struct SecondLook {
    misses: u32,
    pause: u32,
}

impl SecondLook {
    /// Whether to look this time, if it `may`: always after a hit, ever more rarely after misses.
    pub(super) fn is_due(&mut self, may: bool) -> bool {
        if !may {
            return false;
        }
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// Whether a look ends without a job.
    pub(super) fn is_over(took: Duration) -> bool {
        took >= LOOK
    }

    /// The look has found a job, or has not. If it took longer than it should, the job was none the better for it:
    /// where other programs want the core, it is theirs for milliseconds, while who sleeps gets it back at once.
    pub(super) fn took(&mut self, took: Duration, found: bool) {
        if found && took < 2 * LOOK {
            *self = Self::default();
        } else {
            self.misses = (self.misses + 1).min(MOST_MISSES);
            self.pause = 1 << self.misses;
        }
    }
}

/// Waits for a moment without going to sleep: who shares the only core with others leaves it to them, and
/// who has a core of its own keeps it.
pub(super) fn let_others_work() {
    if has_one_core() {
        thread::yield_now();
    } else {
        (0..50).for_each(|_| hint::spin_loop());
    }
}

/// Lets go on who has woken this thread: on the only core it was interrupted, and may have more jobs to add.
pub(super) fn step_back() {
    if has_one_core() {
        thread::yield_now();
    }
}

fn has_one_core() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get));
    *cores == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_become_rare_and_a_hit_forgets_them() {
        let mut look = SecondLook::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let mut pause = 0;
            while !look.is_due(true) {
                pause += 1;
            }
            look.took(LOOK, false);
            pauses.push(pause);
        }
        assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 64, 64]);
        while !look.is_due(true) {}
        look.took(2 * LOOK, true);
        assert!(!look.is_due(true), "too late is a miss");
        while !look.is_due(true) {}
        look.took(2 * LOOK - Duration::from_nanos(1), true);
        assert!(look.is_due(true) && look.is_due(true));
    }

    #[test]
    fn a_look_that_is_not_allowed_uses_up_no_pause_and_one_without_a_job_ends() {
        let mut look = SecondLook::default();
        assert!(!look.is_due(false));
        assert!(look.is_due(true));
        look.took(LOOK, false);
        assert!((0..100).all(|_| !look.is_due(false)));
        let pauses = (0..2).map(|_| look.is_due(true));
        assert!(pauses.eq([false, false]));
        assert!(look.is_due(true));
        assert!(SecondLook::is_over(LOOK) && !SecondLook::is_over(LOOK / 2));
    }
}
