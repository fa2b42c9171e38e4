//! What a pool of threads reports to the server that its service runs in.

use std::{
    fmt,
    iter::Sum,
    time::{Duration, Instant},
};

use http::Method;

/// What a pool of threads is doing at one moment.
///
/// ```
/// use std::time::{Duration, Instant};
/// use http::Method;
/// use tower_server_info::{PoolStats, StuckJob};
///
/// let mut stats = PoolStats::default();
/// stats.queued = 3;
/// stats.oldest = Some(Duration::from_secs(90));
/// stats.stuck.push(StuckJob::new(Instant::now(), Method::GET, "/report", "pool-2"));
///
/// // The pools of one worker together.
/// let both: PoolStats = [stats, PoolStats::default()].into_iter().sum();
/// assert_eq!((both.queued, both.stuck.len()), (3, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The maximum number of threads.
    pub threads: usize,
    /// The number of running jobs.
    pub busy: usize,
    /// The number of jobs that wait for a thread.
    pub queued: usize,
    /// The number of jobs that have run since the pool was created.
    pub finished: u64,
    /// The number of jobs that the pool has refused since it was created.
    pub refused: u64,
    /// The number of tasks on an event loop of the application, which hold no thread.
    pub tasks: usize,
    /// The age of the oldest running job.
    pub oldest: Option<Duration>,
    /// The running jobs whose response is no longer waited for.
    pub stuck: Vec<StuckJob>,
}

/// A job that occupies a thread although its response is no longer waited for: the client has left, or the server has
/// given up. If it is old, it probably hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckJob {
    /// When the job started to run.
    pub since: Instant,
    /// The method of its request.
    pub method: Method,
    /// The path of its request, without the query.
    pub path: String,
    /// The name of the thread that runs it.
    pub thread: String,
}

/// A function that reports the [`PoolStats`] of a pool.
///
/// A pool offers a conversion into it, so that `worker.monitor(&pool)` of `tower-prefork` takes a pool of another crate.
/// A closure is converted as well.
///
/// ```
/// use tower_server_info::{PoolMonitor, PoolStats};
///
/// #[derive(Clone)]
/// struct MyPool;
///
/// impl From<&MyPool> for PoolMonitor {
///     fn from(pool: &MyPool) -> Self {
///         let pool = pool.clone();
///         PoolMonitor::new(move || {
///             let _ = &pool; // asks the pool
///             PoolStats::default()
///         })
///     }
/// }
///
/// fn monitor(pool: impl Into<PoolMonitor>) -> PoolMonitor {
///     pool.into()
/// }
/// assert_eq!(monitor(&MyPool).stats(), PoolStats::default());
/// assert_eq!(monitor(PoolStats::default).stats(), PoolStats::default());
/// ```
pub struct PoolMonitor(Box<dyn Fn() -> PoolStats + Send>);

impl Sum for PoolStats {
    /// The stats of several pools as if they were one.
    fn sum<I: Iterator<Item = Self>>(pools: I) -> Self {
        pools.fold(Self::default(), |mut sum, pool| {
            sum.threads += pool.threads;
            sum.busy += pool.busy;
            sum.queued += pool.queued;
            sum.finished += pool.finished;
            sum.refused += pool.refused;
            sum.tasks += pool.tasks;
            sum.oldest = sum.oldest.max(pool.oldest);
            sum.stuck.extend(pool.stuck);
            sum
        })
    }
}

impl StuckJob {
    /// A job that has run on `thread` since `since`, for a request of `method` and `path`.
    #[must_use]
    pub fn new(
        since: Instant,
        method: Method,
        path: impl Into<String>,
        thread: impl Into<String>,
    ) -> Self {
        Self {
            since,
            method,
            path: path.into(),
            thread: thread.into(),
        }
    }
}

impl PoolMonitor {
    /// A monitor that calls `stats`.
    ///
    /// The server calls it on its event loop about once a second, so it must return quickly and must not block.
    #[must_use]
    pub fn new(stats: impl Fn() -> PoolStats + Send + 'static) -> Self {
        Self(Box::new(stats))
    }

    /// What the pool is doing now.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        (self.0)()
    }
}

impl<F: Fn() -> PoolStats + Send + 'static> From<F> for PoolMonitor {
    fn from(stats: F) -> Self {
        Self::new(stats)
    }
}

impl fmt::Debug for PoolMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMonitor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stats_of_several_pools_are_added_up() {
        let now = Instant::now();
        let pools = [2, 3, 1].map(|age| {
            let since = now.checked_sub(Duration::from_secs(age)).unwrap();
            PoolStats {
                queued: 2,
                refused: 3,
                oldest: Some(Duration::from_secs(age)),
                stuck: vec![StuckJob::new(since, Method::GET, format!("/{age}"), "")],
                ..PoolStats::default()
            }
        });
        let sum: PoolStats = pools.into_iter().chain([PoolStats::default()]).sum();
        assert_eq!((sum.queued, sum.refused), (6, 9));
        assert_eq!(sum.oldest, Some(Duration::from_secs(3)));
        let paths: Vec<_> = sum.stuck.iter().map(|job| &*job.path).collect();
        assert_eq!(paths, ["/2", "/3", "/1"]);
    }

    #[test]
    fn a_monitor_reports_the_stats_of_its_moment() {
        let queued = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(1));
        let seen = queued.clone();
        let monitor = PoolMonitor::from(move || PoolStats {
            queued: seen.load(std::sync::atomic::Ordering::Relaxed),
            ..PoolStats::default()
        });
        assert_eq!(monitor.stats().queued, 1);
        queued.store(2, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(monitor.stats().queued, 2);
    }
}
