//! The handle of a pool: its settings, its figures, and how work is submitted to it.

use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use tower_server_info::{PoolMonitor, PoolStats, StuckJob};

use super::{
    job::{Job, Ticket},
    pipe::PipeBudget,
    queue::{Queue, QueueLimits},
    queue_timeout::QueueTimeout,
    shared::PoolShared,
    thread_guard::ThreadGuard,
};
use crate::{rejection::Rejection, throttle::Throttle};

/// A bounded number of threads for blocking work, with a bounded queue.
///
/// Clones are handles of the same pool, and a setting changes it for all of them. The [module docs](super) say what
/// happens at its limits.
#[derive(Clone)]
pub struct BlockingPool {
    handle: Arc<PoolHandle>,
}

/// Shared by all clones of a pool, but not by its threads: the pool closes when the last one is dropped.
struct PoolHandle {
    shared: Arc<PoolShared>,
    streaming_bodies: Throttle,
}

impl BlockingPool {
    /// Creates a pool of at most `threads` threads. It starts a thread when there is work for it.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(threads: usize) -> Self {
        assert!(threads > 0, "a blocking pool needs at least one thread");
        let limits = QueueLimits {
            threads,
            max_queued: 1024,
            queue_timeout: Duration::from_secs(30),
        };
        let shared = Arc::new(PoolShared::new(limits));
        let weak = Arc::downgrade(&shared);
        shared.pipe_budget.set_queued(move || {
            let shared = weak.upgrade();
            shared.map_or(0, |shared| shared.queue().queued())
        });
        Self {
            handle: Arc::new(PoolHandle {
                shared,
                streaming_bodies: Throttle::new(),
            }),
        }
    }

    /// The maximum number of jobs that wait while all threads are busy, 1024 by default. A job beyond it gets 503 at
    /// once.
    #[must_use]
    pub fn max_queued(self, jobs: usize) -> Self {
        self.queue().limits.max_queued = jobs;
        self
    }

    /// The maximum time that a job waits for a thread, 30 seconds by default. After it the client gets 503, and the job
    /// does not run.
    #[must_use]
    pub fn queue_timeout(self, timeout: Duration) -> Self {
        self.queue().limits.queue_timeout = timeout;
        self
    }

    /// The maximum size in bytes of the temporary files of all response bodies of this pool together, 1 GiB by default.
    /// Beyond it a thread waits until the client has read more.
    #[must_use]
    pub fn max_spooled(self, bytes: usize) -> Self {
        self.pipe_budget().limit_disk(bytes);
        self
    }

    /// The maximum size in bytes of the temporary file of one response body, 64 MiB by default. Beyond it the thread
    /// waits until the client has read more.
    #[must_use]
    pub fn max_spooled_response(self, bytes: usize) -> Self {
        self.pipe_budget().limit_disk_per_body(bytes);
        self
    }

    /// The name of the threads, `blocking` by default: they are called `name-1`, `name-2` and so on, each with the
    /// smallest number that is free. Linux shows the first 15 bytes. It applies to threads that are started from now on.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[must_use]
    #[track_caller]
    pub fn thread_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "the name of a thread contains no zero byte"
        );
        self.shared().spawner.set_name(name);
        self
    }

    /// The stack size of each thread in bytes, 2 MiB by default or the value of the environment variable
    /// `RUST_MIN_STACK`. It applies to threads that are started from now on. The system allocates the memory as it is
    /// used; it refuses a thread whose stack exceeds the address space.
    #[must_use]
    pub fn thread_stack_size(self, bytes: usize) -> Self {
        self.shared().spawner.set_stack_size(bytes);
        self
    }

    /// What a thread holds while it runs jobs, such as the lock of an interpreter: the value that `enter` returns.
    /// `enter` may block until it can be had.
    ///
    /// A thread runs many jobs before it releases the value, and it releases it while it waits: for work, for a client
    /// that reads slowly, for a disk. One thread at a time waits in `enter`, so that threads do not contend. A thread
    /// makes room for that one after four milliseconds, and after one millisecond if other threads have started jobs and
    /// may want to continue. Every job has to start within `queue_timeout`, since a free thread alone is not enough.
    ///
    /// What `enter` has set up may belong to its thread. So the threads of such a pool stay until the pool is drained,
    /// its last handle is dropped, or their runtime ends.
    ///
    /// # Panics
    ///
    /// If it was set before, or the pool has already been given a job.
    #[must_use]
    #[track_caller]
    pub fn thread_guard<G: 'static>(self, enter: impl Fn() -> G + Send + Sync + 'static) -> Self {
        let is_unused = self.queue().set_guard();
        let set = self.shared().guard.set(ThreadGuard::new(enter));
        assert!(
            is_unused && set.is_ok(),
            "a blocking pool has one thread guard, set before its first job"
        );
        self
    }

    /// What the pool is doing now.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let queue = self.queue();
        let mut stats = PoolStats::default();
        stats.threads = queue.limits.threads;
        stats.busy = queue.busy();
        stats.queued = queue.queued();
        stats.finished = queue.finished;
        stats.refused = queue.refused;
        stats.oldest = queue.oldest().map(|since| since.elapsed());
        let stuck = queue.abandoned().map(|job| {
            let thread = job.thread.name().unwrap_or_default();
            #[allow(
                clippy::useless_conversion,
                reason = "under the model checker it is another type"
            )]
            let since = job.since.into();
            StuckJob::new(
                since,
                job.request.method.clone(),
                job.request.path(),
                thread,
            )
        });
        stats.stuck.extend(stuck);
        stats
    }

    /// Refuses new jobs, and waits until the queued and the running ones are done.
    ///
    /// # Errors
    ///
    /// After `deadline`, with the state of the pool at that time. The jobs that still wait are refused then, and their
    /// clients get 503. The jobs that run continue, since nothing can stop them.
    pub async fn drain(&self, deadline: Duration) -> Result<(), PoolStats> {
        self.shared().close();
        let drained = async {
            loop {
                let idle = self.shared().idle.notified();
                if self.queue().is_idle() {
                    return;
                }
                idle.await;
            }
        };
        if tokio::time::timeout(deadline, drained).await.is_ok() {
            return Ok(());
        }
        let stats = self.stats();
        let waiting = self.queue().take_waiting();
        for job in waiting {
            job.refuse(Rejection::Draining);
        }
        Err(stats)
    }

    pub(super) fn pipe_budget(&self) -> &Arc<PipeBudget> {
        &self.shared().pipe_budget
    }

    /// Queues `job` for a thread of the pool, or gives it back if there is no room for it.
    pub(super) fn submit(&self, job: Job) -> Result<Ticket, (Job, Rejection)> {
        let (id, dispatch, timeout) = {
            let mut queue = self.queue();
            let (id, dispatch) = queue.push(job)?;
            let check = queue.limit_wait(tokio::time::Instant::now);
            let timeout = check.and_then(|check| {
                QueueTimeout::register(&mut queue, self.shared()).map(|timeout| (timeout, check))
            });
            (id, dispatch, timeout)
        };
        PoolShared::dispatch(self.shared(), dispatch);
        if let Some((timeout, check)) = timeout {
            timeout.start(check);
        }
        Ok(Ticket::new(self, id))
    }

    pub(super) fn shared(&self) -> &Arc<PoolShared> {
        &self.handle.shared
    }

    /// For the warning of a request body that a thread reads from the client.
    pub(super) fn streaming_bodies(&self) -> &Throttle {
        &self.handle.streaming_bodies
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared().queue()
    }
}

impl Drop for PoolHandle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// So that `worker.monitor(&pool)` of `tower-prefork` takes a pool.
impl From<&BlockingPool> for PoolMonitor {
    fn from(pool: &BlockingPool) -> Self {
        let pool = pool.clone();
        Self::new(move || pool.stats())
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingPool").field(&self.stats()).finish()
    }
}
