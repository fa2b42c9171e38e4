//! A number of frames, which is used up and refilled.

use std::time::Duration;

use tokio::time::Instant;

/// How many frames a client may send at once, and how many more each second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) per_second: u32,
}

/// A number of frames that a client may still send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    rate: Rate,
    rest: u32,
    /// Until when the time has refilled it.
    since: Instant,
}

impl Allowance {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            rest: rate.burst,
            since: now,
        }
    }

    /// Takes `cost` frames. `false` if there are not that many: the client has sent too many of them.
    ///
    /// The clock is read only when the rest is not enough.
    pub(super) fn take(&mut self, cost: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.rest < cost {
            self.refill_by_time(now());
        }
        match self.rest.checked_sub(cost) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Adds frames, up to the number that is free at once.
    pub(super) fn refill(&mut self, frames: u32) {
        self.rest = self.rest.saturating_add(frames).min(self.rate.burst);
    }

    fn refill_by_time(&mut self, now: Instant) {
        let step = Duration::from_secs(1) / self.rate.per_second;
        let passed = now.saturating_duration_since(self.since);
        let frames = passed.as_nanos() / step.as_nanos();
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        if frames >= self.rate.burst {
            self.since = now;
        } else {
            self.since += step * frames;
        }
        self.refill(frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 10,
        per_second: 4,
    };

    #[test]
    fn the_burst_is_free_and_then_time_refills_it() {
        let start = Instant::now();
        let mut allowance = Allowance::new(RATE, start);
        for _ in 0..10 {
            assert!(allowance.take(1, || unreachable!("enough are left")));
        }
        assert!(!allowance.take(1, || start));
        let later = start + Duration::from_millis(300);
        assert!(allowance.take(1, || later));
        assert!(!allowance.take(1, || later), "one in a quarter of a second");
        // The rest of the time is not lost.
        assert!(allowance.take(1, || start + Duration::from_millis(500)));
        // No more than at the start, however long it takes.
        let later = start + Duration::from_secs(1 << 30);
        assert!(allowance.take(10, || later));
        assert!(!allowance.take(1, || later));
    }

    #[test]
    fn progress_refills_it_up_to_the_burst() {
        let start = Instant::now();
        let mut allowance = Allowance::new(RATE, start);
        assert!(allowance.take(9, || start));
        assert!(!allowance.take(2, || start));
        allowance.refill(2);
        assert!(allowance.take(3, || start));
        allowance.refill(u32::MAX);
        assert!(allowance.take(10, || start));
        assert!(!allowance.take(1, || start));
    }
}
