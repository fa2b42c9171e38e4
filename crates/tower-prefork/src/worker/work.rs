use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::Method;

/// What the threads of a worker do, at one moment: see [`Worker::watch_work`](crate::Worker::watch_work).
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The jobs that wait for a thread.
    pub queued: usize,
    /// The jobs that were refused since the start, because there was no room for them.
    pub refused: u64,
    /// How long the oldest of the running jobs has been running.
    pub oldest: Option<Duration>,
    /// The jobs that run though nobody waits for their answer any more.
    pub abandoned: Vec<AbandonedJob>,
}

/// A job that runs though nobody waits for its answer any more.
#[derive(Clone, Debug)]
pub struct AbandonedJob {
    /// When it was given its thread.
    pub since: Instant,
    /// The method of the request that it is for.
    pub method: Method,
    /// The path of that request.
    pub path: String,
    /// The name of its thread.
    pub thread: String,
}

/// Those who know what the threads of a worker do.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<Vec<Watch>>>);

type Watch = Box<dyn Fn() -> Work + Send>;

impl Watches {
    pub(super) fn add(&self, watch: impl Fn() -> Work + Send + 'static) {
        self.all().push(Box::new(watch));
    }

    /// All of them together.
    pub(super) fn look(&self) -> Work {
        let mut sum = Work::default();
        for watch in &*self.all() {
            // A panic is printed already; that the worker goes on matters more than a number.
            let work = catch_unwind(AssertUnwindSafe(watch)).unwrap_or_default();
            sum.queued += work.queued;
            sum.refused += work.refused;
            sum.oldest = sum.oldest.max(work.oldest);
            sum.abandoned.extend(work.abandoned);
        }
        sum
    }

    /// Nobody looks any more. A watch may hold the pool that it looks at, whose threads would not end.
    pub(super) fn end(&self) {
        let watches = std::mem::take(&mut *self.all());
        drop(watches);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_several_pools_is_added_up() {
        let watches = Watches::default();
        let now = Instant::now();
        for age in [2, 3, 1] {
            let since = now.checked_sub(Duration::from_secs(age)).unwrap();
            watches.add(move || Work {
                queued: 2,
                refused: 3,
                oldest: Some(Duration::from_secs(age)),
                abandoned: vec![AbandonedJob {
                    since,
                    method: Method::GET,
                    path: format!("/{age}"),
                    thread: String::new(),
                }],
            });
        }
        watches.add(Work::default);
        watches.add(|| panic!("out of order"));
        let work = watches.look();
        assert_eq!((work.queued, work.refused), (6, 9));
        assert_eq!(work.oldest, Some(Duration::from_secs(3)));
        let paths: Vec<_> = work.abandoned.iter().map(|job| &*job.path).collect();
        assert_eq!(paths, ["/2", "/3", "/1"]);
    }

    #[test]
    fn what_is_watched_is_let_go_at_the_end() {
        let watches = Watches::default();
        let pool = Arc::new(());
        let watched = pool.clone();
        watches.clone().add(move || {
            let _ = &watched;
            Work::default()
        });
        assert_eq!(Arc::strong_count(&pool), 2);
        watches.end();
        assert_eq!(Arc::strong_count(&pool), 1);
    }
}
