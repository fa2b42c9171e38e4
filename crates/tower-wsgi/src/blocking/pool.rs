use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    hold::{Enter, Holding},
    queue::{Job, Limits, Next, Queue},
    second_look::SecondLook,
};
use crate::budget::Budget;

/// How long a thread without work stays ready for the next job before tokio has it back. Short,
/// because a runtime that is shut down waits for it.
const LINGER: Duration = Duration::from_millis(20);

/// How long a thread keeps what it holds while another stands by for it. It steps down between two
/// jobs then, which is cheaper than to lose it in the middle of one.
const TURN: Duration = Duration::from_millis(1);

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

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    idle: Notify,
    spooled: Arc<Budget>,
    enter: OnceLock<Enter>,
}

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
    /// The jobs that were refused because the queue was full, the wait too long, or the pool drained.
    pub refused: u64,
    /// How long the oldest of the running jobs has been running.
    pub oldest: Option<Duration>,
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
        Self {
            handle: Arc::new(Handle(Arc::new(Shared {
                queue: Mutex::new(Queue::new(limits)),
                work: Condvar::new(),
                idle: Notify::new(),
                spooled: Budget::new(4 << 30),
                enter: OnceLock::new(),
            }))),
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

    /// How many bytes of temporary files the response bodies of this pool may fill together, 4 GiB
    /// by default. Beyond it a thread waits until its reader has caught up.
    #[must_use]
    pub fn max_spooled(self, bytes: usize) -> Self {
        self.shared().spooled.set_limit(bytes);
        self
    }

    /// What a thread holds while it runs jobs, such as the lock of an interpreter: what `enter` gives,
    /// which may block until it can be had.
    ///
    /// A thread runs many jobs before it gives it up. It does while it waits: for work, for a client
    /// that reads slowly, for a disk. One thread at a time waits for `enter`, so that they do not
    /// contend for it; after a millisecond a thread makes room for that one. Since what `enter` has set
    /// up may belong to its thread, the threads of such a pool stay until the pool is drained or its
    /// last handle is gone.
    ///
    /// # Panics
    ///
    /// If it was set before, or the pool has run jobs already.
    #[must_use]
    #[track_caller]
    pub fn hold<G: 'static>(self, enter: impl Fn() -> G + Send + Sync + 'static) -> Self {
        let unused = self.queue().hold();
        let set = self.shared().enter.set(Arc::new(move || Box::new(enter())));
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
        let abandoned = self.queue().abandon();
        drop(abandoned);
        Err(stats)
    }

    pub(super) fn spooled(&self) -> &Arc<Budget> {
        &self.shared().spooled
    }

    /// Lets `job` run on a thread of the pool, or gives it back if there is no room for it.
    pub(super) fn submit(&self, job: Job) -> Result<Ticket, Job> {
        let (id, next, queue_timeout) = {
            let mut queue = self.queue();
            let (id, next) = queue.push(job)?;
            let queue_timeout = (queue.queued() > 0).then_some(queue.limits.queue_timeout);
            (id, next, queue_timeout)
        };
        Shared::send(self.shared(), next);
        Ok(Ticket {
            pool: self.clone(),
            id,
            queue_timeout,
            done: false,
        })
    }

    fn shared(&self) -> &Arc<Shared> {
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

impl Shared {
    /// Sends the next thread.
    fn send(this: &Arc<Self>, next: Next) {
        match next {
            Next::Wait => {}
            Next::Wake => this.work.notify_one(),
            Next::Start => {
                let thread = Thread(Arc::clone(this));
                tokio::task::spawn_blocking(move || thread.work());
            }
        }
    }

    fn close(&self) {
        self.queue().close();
        // Threads that would stay have nothing to wait for any more.
        self.work.notify_all();
    }

    // No job runs under the lock, so a poisoned one is still in order.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingPool").field(&self.stats()).finish()
    }
}

/// A job's place in the queue.
pub(super) struct Ticket {
    pool: BlockingPool,
    id: u64,
    /// How long the job may wait; `None` if a thread was free for it.
    pub(super) queue_timeout: Option<Duration>,
    done: bool,
}

impl Ticket {
    /// The job has run.
    pub(super) fn done(mut self) {
        self.done = true;
    }

    /// Takes the job out of the queue, if it does not run yet.
    fn cancel(&self) -> bool {
        let (job, idle) = {
            let mut queue = self.pool.queue();
            (queue.cancel(self.id), queue.is_idle())
        };
        if idle {
            self.pool.shared().idle.notify_waiters();
        }
        job.is_some()
    }

    /// Takes the job out of the queue because it waited too long, if it does not run yet.
    pub(super) fn refuse(&self) -> bool {
        let cancelled = self.cancel();
        if cancelled {
            self.pool.queue().refused += 1;
        }
        cancelled
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done {
            self.cancel();
        }
    }
}

/// One of the pool's threads. Dropped with its loop, or with the runtime that never started it.
struct Thread(Arc<Shared>);

impl Thread {
    /// Runs jobs while there are any: one wake-up serves many jobs.
    fn work(self) {
        let mut second_look = SecondLook::default();
        loop {
            let mut queue = self.run();
            if queue.has_waiting() && !queue.has_stand_by() {
                queue.enter();
                continue;
            }
            if second_look.is_due() {
                queue.look();
                drop(queue);
                thread::yield_now();
                queue = self.0.queue();
                queue.looked();
                second_look.found(queue.has_waiting());
                if queue.has_waiting() && !queue.has_stand_by() {
                    queue.enter();
                    continue;
                }
            }
            if !self.park(queue) {
                return;
            }
        }
    }

    /// Runs the jobs that wait, holding what must be held.
    fn run(&self) -> MutexGuard<'_, Queue> {
        let holding = self.0.enter.get().map(Holding::begin);
        let since = Instant::now();
        let mut queue = self.0.queue();
        queue.entered();
        while let Some((slot, job)) = queue.start(Instant::now()) {
            let next = queue.stand_by();
            drop(queue);
            Shared::send(&self.0, next);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job of the blocking pool panicked outside of its service");
            }
            queue = self.0.queue();
            queue.finish(&slot);
            if queue.is_idle() {
                self.0.idle.notify_waiters();
            }
            if queue.has_stand_by() && since.elapsed() > TURN {
                break;
            }
        }
        if holding.is_none() {
            return queue;
        }
        drop(queue);
        drop(holding);
        self.0.queue()
    }

    /// Waits for work. Says whether there is any, or the thread has to end.
    fn park(&self, mut queue: MutexGuard<'_, Queue>) -> bool {
        queue.park();
        let deadline = Instant::now() + LINGER;
        loop {
            if queue.take_wakeup() {
                return true;
            }
            let stays = self.0.enter.get().is_some() && !queue.is_closed();
            let left = deadline.saturating_duration_since(Instant::now());
            if !stays && left.is_zero() {
                queue.unpark();
                return false;
            }
            let work = &self.0.work;
            queue = if stays {
                work.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                let wait = work.wait_timeout(queue, left);
                wait.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let orphans = self.0.queue().leave();
        drop(orphans);
    }
}
