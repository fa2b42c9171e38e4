use std::fs;

use rustix::param::page_size;

use super::WorkerContext;
use crate::control::Vitals;
use tower_serve::Load;

/// What the worker counts, at this moment.
pub(super) fn vitals(worker: &WorkerContext, load: &Load) -> Vitals {
    let pools = worker.pool_stats();
    let oldest = pools.oldest.map(|age| age.as_millis());
    Vitals {
        connections: load.connections(),
        in_flight: load.requests(),
        requests: load.total(),
        queued: pools.queued,
        refused: pools.refused,
        oldest_job_ms: oldest.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
        rss: rss().unwrap_or_default(),
    }
}

/// Bytes of this process that are in memory, those among them that it shares with others, too.
fn rss() -> Option<u64> {
    let sizes = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = sizes.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_seen() {
        let before = rss().unwrap();
        let used = vec![1_u8; 64 << 20];
        let after = rss().unwrap();
        assert!(after - before > 60 << 20, "{before} {after}");
        drop(used);
    }
}
