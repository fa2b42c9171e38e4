//! When a thread without work looks for it once more before it sleeps.
//!
//! Where the event loop waits for the thread's core, a look after a yield finds many jobs, and saves
//! a wake-up for each. Where both have a core, it finds none and only costs.

use std::{hint, num::NonZero, sync::OnceLock, thread};

/// After so many looks in vain in a row, the pauses between looks grow no more.
const MOST_MISSES: u32 = 6;

/// Remembers whether the looks of one thread were worth it.
#[derive(Debug, Default)]
pub(super) struct SecondLook {
    misses: u32,
    pause: u32,
}

impl SecondLook {
    /// Whether to look this time: always after a hit, ever more rarely after misses.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// The look has found a job in time, or has not.
    pub(super) fn found(&mut self, in_time: bool) {
        if in_time {
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
            while !look.is_due() {
                pause += 1;
            }
            look.found(false);
            pauses.push(pause);
        }
        assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 64, 64]);
        while !look.is_due() {}
        look.found(true);
        assert!(look.is_due() && look.is_due());
    }
}
