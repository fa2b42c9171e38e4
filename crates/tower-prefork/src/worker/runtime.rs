use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout_at},
};

use super::WorkerContext;

/// How often to look whether the last job has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Blocking threads beyond the application's, for tokio's own use: names and files.
const SPARE_THREADS: usize = 8;

/// The event loop of this process, with so many threads for the application's blocking work.
pub(super) fn build(thread_workers: usize) -> io::Result<Runtime> {
    let count = AtomicUsize::new(0);
    Builder::new_current_thread()
        .enable_all()
        .thread_name_fn(move || format!("blocking-{}", count.fetch_add(1, Relaxed)))
        .max_blocking_threads(thread_workers + SPARE_THREADS)
        .build()
}

/// Ends it. A job that is still on a thread may finish until the deadline; without one, when the
/// start has failed, nothing is waited for.
pub(super) fn finish<'a>(
    runtime: Runtime,
    deadline: Option<Instant>,
    workers: impl IntoIterator<Item = &'a WorkerContext>,
) {
    let deadline = deadline.unwrap_or_else(Instant::now);
    runtime.block_on(async {
        for worker in workers {
            let jobs = async {
                while worker.pool_stats().oldest.is_some() {
                    sleep(LOOK).await;
                }
            };
            let _ = timeout_at(deadline.into(), jobs).await;
            worker.clear_monitors();
        }
    });
    // And those that nobody has told of.
    runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
}
