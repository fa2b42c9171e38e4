//! What a worker reports of itself: the stats of its heartbeat, and of its thread pools.

use std::{
    fmt, fs, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::param::page_size;
use tower_serve::Load;
use tower_server_info::{PoolMonitor, PoolStats};

use super::WorkerContext;
use crate::control::WorkerStats;

/// The monitors of all pools of a worker. Clones share them.
#[derive(Clone, Default)]
pub(super) struct PoolMonitors(Arc<Mutex<Vec<PoolMonitor>>>);

impl PoolMonitors {
    pub(super) fn add(&self, monitor: PoolMonitor) {
        self.all().push(monitor);
    }

    /// The stats of all pools together.
    pub(super) fn stats(&self) -> PoolStats {
        let monitors = self.all();
        let stats = monitors.iter().map(|monitor| {
            // The panic hook has reported a panic, and the other pools still count.
            catch_unwind(AssertUnwindSafe(|| monitor.stats())).unwrap_or_default()
        });
        stats.sum()
    }

    /// Drops the monitors. A monitor may hold its pool, whose threads would not end otherwise.
    pub(super) fn clear(&self) {
        let monitors = mem::take(&mut *self.all());
        drop(monitors);
    }

    fn all(&self) -> MutexGuard<'_, Vec<PoolMonitor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PoolMonitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMonitors").finish_non_exhaustive()
    }
}

/// The current stats of the worker.
pub(super) fn worker_stats(worker: &WorkerContext, load: &Load) -> WorkerStats {
    let pools = worker.pool_stats();
    WorkerStats {
        memory_bytes: rss().unwrap_or_default(),
        connections: load.connections(),
        upgraded: load.upgraded(),
        upgraded_total: load.upgraded_total(),
        in_flight: load.requests(),
        queued: pools.queued,
        tasks: pools.tasks,
        requests: load.total(),
        refused: pools.refused,
        oldest_job_s: pools.oldest.map(|age| age.as_secs_f64()),
    }
}

/// The resident memory of this process in bytes, including what it shares with other processes.
fn rss() -> Option<u64> {
    let sizes = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http::Method;
    use tower_server_info::StuckJob;

    use super::*;

    #[test]
    fn the_stats_of_several_pools_are_added_up() {
        let monitors = PoolMonitors::default();
        let now = Instant::now();
        for age in [2, 3, 1] {
            let since = now.checked_sub(Duration::from_secs(age)).unwrap();
            let stats = move || {
                let mut stats = PoolStats::default();
                stats.queued = 2;
                stats.refused = 3;
                stats.oldest = Some(Duration::from_secs(age));
                let job = StuckJob::new(since, Method::GET, format!("/{age}"), "");
                stats.stuck.push(job);
                stats
            };
            monitors.add(stats.into());
        }
        monitors.add(PoolStats::default.into());
        monitors.add(PoolMonitor::new(|| panic!("out of order")));
        let stats = monitors.stats();
        assert_eq!((stats.queued, stats.refused), (6, 9));
        assert_eq!(stats.oldest, Some(Duration::from_secs(3)));
        let paths: Vec<_> = stats.stuck.iter().map(|job| &*job.path).collect();
        assert_eq!(paths, ["/2", "/3", "/1"]);
    }

    #[test]
    fn a_monitored_pool_is_dropped_at_the_end() {
        let monitors = PoolMonitors::default();
        let pool = Arc::new(());
        let monitored = pool.clone();
        monitors.clone().add(PoolMonitor::new(move || {
            let _ = &monitored;
            PoolStats::default()
        }));
        assert_eq!(Arc::strong_count(&pool), 2);
        monitors.clear();
        assert_eq!(Arc::strong_count(&pool), 1);
    }

    #[test]
    fn used_memory_is_counted() {
        let before = rss().unwrap();
        let used = vec![1_u8; 64 << 20];
        let after = rss().unwrap();
        assert!(after - before > 60 << 20, "{before} {after}");
        drop(used);
    }
}
