//! How long a thread keeps what it holds while others want it.

use std::time::{Duration, Instant};

/// While others have begun jobs and may want it. A thread steps down between two jobs then, which is cheaper
/// than to lose it in the middle of one.
const SHORT: Duration = Duration::from_millis(1);

/// While another only stands by for it: less than the 5 ms after which CPython takes its lock away.
const LONG: Duration = Duration::from_millis(4);

/// The turn of one thread.
pub(super) struct Turn {
    since: Instant,
    /// The events of the queue when its last job began.
    events: u64,
}

/// Who else wants what the thread holds.
#[derive(Clone, Copy)]
pub(super) struct Others {
    /// A thread that has waited wants to go on.
    pub(super) returning: bool,
    /// A thread stands by for the jobs that wait.
    pub(super) stand_by: bool,
    /// Jobs that others have begun.
    pub(super) busy: usize,
}

impl Turn {
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            since: now,
            events: 0,
        }
    }

    /// A job begins.
    pub(super) fn begin_job(&mut self, events: u64) {
        self.events = events;
    }

    /// It has ended. When others have begun or finished jobs meanwhile, it has waited and they had their turn. So this
    /// one begins anew: a thread that would step down after each job that waits had to be woken for each.
    pub(super) fn end_job(&mut self, events: u64, now: Instant) {
        if events != self.events {
            self.since = now;
        }
    }

    /// Whether it has to step down.
    pub(super) fn is_over(&self, now: Instant, others: Others) -> bool {
        let limit = match others {
            Others {
                returning: true, ..
            }
            | Others {
                stand_by: true,
                busy: 1..,
                ..
            } => SHORT,
            Others { stand_by: true, .. } => LONG,
            Others { .. } => return false,
        };
        now.saturating_duration_since(self.since) > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Others = Others {
        returning: false,
        stand_by: false,
        busy: 3,
    };
    const STANDS_BY: Others = Others {
        stand_by: true,
        busy: 0,
        ..NOBODY
    };

    #[test]
    fn it_is_shorter_where_others_have_begun_jobs() {
        let begin = Instant::now();
        let turn = Turn::begin(begin);
        let busy = Others {
            busy: 1,
            ..STANDS_BY
        };
        let returning = Others {
            returning: true,
            ..NOBODY
        };
        assert!(!turn.is_over(begin + 100 * LONG, NOBODY));
        for (others, limit) in [(STANDS_BY, LONG), (busy, SHORT), (returning, SHORT)] {
            assert!(!turn.is_over(begin + limit, others));
            assert!(turn.is_over(begin + 2 * limit, others));
        }
    }

    #[test]
    fn it_begins_anew_when_others_had_theirs() {
        let begin = Instant::now();
        let later = begin + 2 * LONG;
        let mut turn = Turn::begin(begin);
        turn.begin_job(7);
        turn.end_job(7, later);
        assert!(turn.is_over(later, STANDS_BY), "nobody else had one");
        turn.begin_job(9);
        turn.end_job(10, later);
        assert!(!turn.is_over(later, STANDS_BY));
        assert!(turn.is_over(later + 2 * LONG, STANDS_BY));
    }
}
