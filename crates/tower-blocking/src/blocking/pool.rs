use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use http::Method;

use super::{
    hold::Gate,
    job::Job,
    pipe::Room,
    queue::{Limits, Queue},
    shared::Shared,
    ticket::Ticket,
    time_limit::Keeper,
};

/// A bounded number of threads for blocking work, and a bounded queue before them.
///
/// Clones are handles of the same pool, and a setting changes it for all of them. The
/// [module docs](super) tell what happens at its bounds.
#[derive(Clone)]
pub struct BlockingPool {
    handle: Arc<Handle>,
}

/// What all clones of a pool share, and its threads do not: with the last one the pool closes.
struct Handle(Arc<Shared>);

/// What a pool is doing, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The threads that it may use.
    pub threads: usize,
    /// The jobs that run.
    pub busy: usize,
    /// The jobs that wait for a thread.
    pub queued: usize,
    /// The jobs that have run, since the pool was made.
    pub finished: u64,
    /// The jobs that were refused because the queue was full, the wait too long, the client probably gone, the pool
    /// drained, or no thread to be had.
    pub refused: u64,
    /// How long the oldest of the running jobs has been running.
    pub oldest: Option<Duration>,
}

/// A job that runs though nobody waits for its answer any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedJob {
    /// When it was given its thread.
    pub since: Instant,
    /// The method of the request that it is for.
    pub method: Method,
    /// The path of that request, without its query.
    pub path: String,
    /// The name of its thread: see [`BlockingPool::thread_name`].
    pub thread: String,
}

impl BlockingPool {
    /// A pool of at most `threads` threads. It starts none before there is work.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(threads: usize) -> Self {
        assert!(threads > 0, "a blocking pool needs at least one thread");
        let limits = Limits {
            threads,
            max_queued: 1024,
            queue_timeout: Duration::from_secs(30),
        };
        let shared = Arc::new(Shared::new(limits));
        let asked = Arc::downgrade(&shared);
        shared.room.ask(move || {
            let shared = asked.upgrade();
            shared.map_or(0, |shared| shared.queue().queued())
        });
        Self {
            handle: Arc::new(Handle(shared)),
        }
    }

    /// How many jobs may wait while all threads are busy, 1024 by default. The next one is answered
    /// with 503 at once.
    #[must_use]
    pub fn max_queued(self, jobs: usize) -> Self {
        self.queue().limits.max_queued = jobs;
        self
    }

    /// How long a job may wait for a thread, 30 seconds by default. After it the client gets 503, and
    /// the job does not run.
    #[must_use]
    pub fn queue_timeout(self, timeout: Duration) -> Self {
        self.queue().limits.queue_timeout = timeout;
        self
    }

    /// How many bytes of temporary files the response bodies of this pool may fill together, 1 GiB
    /// by default. Beyond it a thread waits until its reader has caught up.
    #[must_use]
    pub fn max_spooled(self, bytes: usize) -> Self {
        self.shared().room.limit_disk(bytes);
        self
    }

    /// How many bytes of a temporary file one response body may fill, 64 MiB by default. Beyond it its thread
    /// waits until the reader has caught up.
    #[must_use]
    pub fn max_spooled_response(self, bytes: usize) -> Self {
        self.shared().room.limit_disk_of_each(bytes);
        self
    }

    /// What its threads are called, `blocking` by default: `name-1`, `name-2` and so on, each with the smallest
    /// number that is free. Linux shows the first 15 bytes. It holds for the threads that are started from now on.
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

    /// How many bytes of stack each of its threads has, 2 MiB by default (or what the environment variable
    /// `RUST_MIN_STACK` says). It holds for the threads that are started from now on. The system takes the memory
    /// only as it is used; a size for which there is no room is a thread that the system refuses.
    #[must_use]
    pub fn thread_stack_size(self, bytes: usize) -> Self {
        self.shared().spawner.set_stack_size(bytes);
        self
    }

    /// What a thread holds while it runs jobs, such as the lock of an interpreter: what `enter` gives,
    /// which may block until it can be had.
    ///
    /// A thread runs many jobs before it gives it up. It does while it waits: for work, for a client
    /// that reads slowly, for a disk. One thread at a time comes to take over, so that they do not
    /// contend; a thread makes room for it after four milliseconds, and after one where others have begun jobs
    /// and may want to go on. Every job has to start within `queue_timeout`, since a free thread alone is not
    /// enough.
    ///
    /// What `enter` has set up may belong to its thread. So the threads of such a pool stay until the pool
    /// is drained, its last handle is gone, or their runtime ends.
    ///
    /// # Panics
    ///
    /// If it was set before, or the pool was given a job already.
    #[must_use]
    #[track_caller]
    pub fn hold<G: 'static>(self, enter: impl Fn() -> G + Send + Sync + 'static) -> Self {
        let unused = self.queue().hold();
        let set = self.shared().gate.set(Gate::new(enter));
        assert!(
            unused && set.is_ok(),
            "a blocking pool holds one thing, set before its first job"
        );
        self
    }

    /// What the pool is doing now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let queue = self.queue();
        Stats {
            threads: queue.limits.threads,
            busy: queue.busy(),
            queued: queue.queued(),
            finished: queue.finished,
            refused: queue.refused,
            oldest: queue.oldest().map(|since| since.elapsed()),
        }
    }

    /// The jobs that run though nobody waits for their answer any more: the client has left, or the server
    /// has given up the wait. One that is too old probably hangs.
    #[must_use]
    pub fn abandoned(&self) -> Vec<AbandonedJob> {
        let queue = self.queue();
        let jobs = queue.abandoned().map(|run| AbandonedJob {
            since: run.since,
            method: run.label.method.clone(),
            path: run.label.path().to_owned(),
            thread: run.thread.name().unwrap_or_default().to_owned(),
        });
        jobs.collect()
    }

    /// Refuses new jobs, and waits until the queued and the running ones are done.
    ///
    /// # Errors
    ///
    /// After `deadline` it gives up: the jobs that still wait are dropped (their clients get 503),
    /// and the error tells what there was. Jobs that run go on, since nothing can stop them.
    pub async fn drain(&self, deadline: Duration) -> Result<(), Stats> {
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
        let dropped = self.queue().take_waiting();
        drop(dropped);
        Err(stats)
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.shared().room
    }

    /// Lets `job` run on a thread of the pool, or gives it back if there is no room for it.
    pub(super) fn submit(&self, job: Job) -> Result<Ticket, Job> {
        let (id, next, limit) = {
            let mut queue = self.queue();
            let (id, next) = queue.push(job)?;
            let look = queue.limit_wait(tokio::time::Instant::now);
            let limit = look.and_then(|look| {
                Keeper::needed(&mut queue, self.shared()).map(|keeper| (keeper, look))
            });
            (id, next, limit)
        };
        Shared::send(self.shared(), next);
        if let Some((keeper, look)) = limit {
            keeper.start(look);
        }
        Ok(Ticket::new(self, id))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared().queue()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingPool").field(&self.stats()).finish()
    }
}
