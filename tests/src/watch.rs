use tower_prefork::{AbandonedJob, Work, Worker};
use tower_wsgi::blocking::BlockingPool;

/// Tells the server what the threads of a pool do.
pub fn watch(worker: &Worker, pool: BlockingPool) {
    worker.watch_work(move || {
        let stats = pool.stats();
        let abandoned = pool.abandoned().into_iter().map(|job| AbandonedJob {
            since: job.since,
            method: job.method,
            path: job.path,
            thread: job.thread,
        });
        Work {
            queued: stats.queued,
            refused: stats.refused,
            oldest: stats.oldest,
            abandoned: abandoned.collect(),
        }
    });
}
