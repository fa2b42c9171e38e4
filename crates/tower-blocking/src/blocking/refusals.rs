//! The threads that the system refuses to a pool: when it is asked again, and what the operator is told.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::shared::Shared;

/// How long after the first refusal the system is asked again. After each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// And no longer than this.
const LAST: Duration = Duration::from_secs(10);

/// How often the operator is told at most.
const PAUSE: Duration = Duration::from_secs(60);

/// What the queue remembers of them.
#[derive(Default)]
pub(super) struct Refusals {
    /// How long was waited after the last one; `None` when the system has given a thread since.
    delay: Option<Duration>,
    told: Option<Instant>,
    /// How often a thread without work has stayed for them.
    #[cfg(test)]
    pub(super) stays: usize,
}

impl Refusals {
    /// One more. Gives the time after which to ask again; a pool with no thread at all is most in need of one.
    pub(super) fn add(&mut self, threads: usize) -> Duration {
        let next = self.delay.map_or(FIRST, |delay| LAST.min(2 * delay));
        let delay = if threads == 0 { FIRST } else { next };
        self.delay = Some(delay);
        delay
    }

    /// The system has given a thread.
    pub(super) fn end(&mut self) {
        self.delay = None;
    }

    /// Whether a thread that would end may not be had again.
    pub(super) fn are_recent(&self) -> bool {
        self.delay.is_some()
    }

    /// Whether a thread that would end has to stay, since it may not be had again.
    pub(super) fn keep_thread(&mut self) -> bool {
        #[cfg(test)]
        {
            self.stays += usize::from(self.are_recent());
        }
        self.are_recent()
    }

    /// Whether to tell the operator now.
    fn tell(&mut self, now: Instant) -> bool {
        let is_time = |told| now.saturating_duration_since(told) >= PAUSE;
        let tells = self.told.is_none_or(is_time);
        if tells {
            self.told = Some(now);
        }
        tells
    }
}

/// The system has refused a thread. Not to be called with the lock.
pub(super) fn refused(shared: &Arc<Shared>, error: &io::Error) {
    let (refusal, tell) = {
        let mut queue = shared.queue();
        let refusal = queue.refuse_thread(tokio::time::Instant::now);
        (refusal, queue.refusals.tell(Instant::now()))
    };
    tokio::spawn(ask_again(Bar(Arc::clone(shared)), refusal.delay));
    Shared::keep_time(shared);
    if !tell {
        return;
    }
    if refusal.threads == 0 {
        tracing::warn!(
            %error,
            "the system refuses threads, and the pool has none: requests are answered with 503; \
            raise pids.max of the control group, or RLIMIT_NPROC (ulimit -u) of the user"
        );
    } else {
        tracing::warn!(
            %error,
            threads = refusal.threads,
            "the system refuses the pool more threads, and it goes on with those it has; \
            raise pids.max of the control group, or RLIMIT_NPROC (ulimit -u) of the user"
        );
    }
}

/// How it stands after a refusal.
pub(super) struct Refusal {
    /// After which the system is asked again.
    pub(super) delay: Duration,
    /// The threads that the pool has.
    pub(super) threads: usize,
}

async fn ask_again(bar: Bar, delay: Duration) {
    tokio::time::sleep(delay).await;
    let shared = Arc::clone(&bar.0);
    drop(bar);
    let next = shared.queue().call_thread();
    Shared::send(&shared, next);
}

/// No thread is asked for until this is dropped, with its runtime at the latest.
struct Bar(Arc<Shared>);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.queue().threads.may_start(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_asked_ever_more_rarely_but_for_the_first_thread() {
        let mut refusals = Refusals::default();
        assert!(!refusals.are_recent());
        let delays: Vec<_> = (0..9).map(|_| refusals.add(1).as_millis()).collect();
        assert_eq!(
            delays,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(refusals.add(0), FIRST);
        assert!(refusals.are_recent());
        refusals.add(1);
        refusals.end();
        assert!(!refusals.are_recent());
        assert_eq!(refusals.add(1), FIRST);
    }

    #[test]
    fn the_operator_is_told_once_a_minute() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        let tells = [0, 1, 59, 60, 61, 119, 120].map(|s| refusals.tell(now + s * PAUSE / 60));
        assert_eq!(tells, [true, false, false, true, false, false, true]);
    }
}
