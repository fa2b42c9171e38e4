//! What a pool reports to the server that its service runs in.

use tower_server_info::{PoolMonitor, PoolStats, StuckJob};

use super::BlockingPool;

/// For `worker.monitor(&pool)` of `tower-prefork`.
impl From<&BlockingPool> for PoolMonitor {
    fn from(pool: &BlockingPool) -> Self {
        let pool = pool.clone();
        Self::new(move || report(&pool))
    }
}

fn report(pool: &BlockingPool) -> PoolStats {
    let stats = pool.stats();
    let stuck = pool.abandoned().into_iter();
    let stuck = stuck.map(|job| StuckJob::new(job.since, job.method, job.path, job.thread));
    let mut report = PoolStats::default();
    report.queued = stats.queued;
    report.refused = stats.refused;
    report.oldest = stats.oldest;
    report.stuck = stuck.collect();
    report
}
