//! A thread of a pool. Threads run while there is work: one wake-up serves many jobs.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    adaptive_spin::{AdaptiveSpin, spin_or_yield, yield_on_single_core},
    deferred_wakes,
    entries::{RunningJob, RunningSlot},
    job::StartedJob,
    queue::Queue,
    scaling::Verdict,
    shared::PoolShared,
    spawner::{RuntimeShutdown, thread_refused},
    thread_guard::{Contenders, GuardScope, Timeslice},
};
use crate::rejection::Rejection;

/// How long a thread without work stays ready for the next job. A thread is started in less than a ten thousandth of
/// this time, so a pool that has some work all the time starts none, and an idle one gives the memory back.
const LINGER: Duration = Duration::from_secs(1);

/// How often a watching thread checks whether the others run the jobs fast enough. A job may wait for this time although a
/// thread is free, if the jobs before it were short.
const WATCH_INTERVAL: Duration = Duration::from_micros(200);

thread_local! {
    static IS_POOL_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether the current thread belongs to a pool, so that it may block although it runs in the context of a runtime.
#[must_use]
pub fn is_pool_thread() -> bool {
    IS_POOL_THREAD.get()
}

/// One thread. It is dropped at the end of its loop, or by the system if that refuses to start it.
pub(super) struct PoolThread {
    shared: Arc<PoolShared>,
    /// How the queue counts it.
    phase: Cell<ThreadPhase>,
    /// The job that it runs.
    job: RefCell<Option<RunningSlot>>,
    /// The runtime in whose context it runs: the thread ends with it.
    runtime: RuntimeShutdown,
}

#[derive(Clone, Copy, PartialEq)]
enum ThreadPhase {
    /// It does not run yet.
    Starting,
    /// It runs jobs as soon as it holds the thread guard.
    Entering,
    Inside,
    /// The queue no longer counts it.
    Gone,
}

impl PoolThread {
    /// Starts a thread that the queue counts as starting, in the context of the current runtime. Must not be called
    /// under the lock.
    pub(super) fn start(shared: &Arc<PoolShared>) {
        let runtime = Handle::current();
        let thread = Self {
            shared: Arc::clone(shared),
            phase: Cell::new(ThreadPhase::Starting),
            job: RefCell::new(None),
            runtime: {
                let shared = Arc::clone(shared);
                RuntimeShutdown::watch(move || shared.wake_parked())
            },
        };
        let started = shared.spawner.spawn(move || {
            let _context = runtime.enter();
            thread.work();
        });
        if let Err(error) = started {
            thread_refused(shared, &error);
        }
    }

    /// The loop of the thread.
    fn work(self) {
        IS_POOL_THREAD.set(true);
        let mut spin = AdaptiveSpin::default();
        let mut queue = self.shared.queue();
        queue.thread_started();
        self.phase.set(ThreadPhase::Entering);
        loop {
            if queue.short_jobs() {
                queue.threads.entered();
                self.phase.set(ThreadPhase::Inside);
            } else {
                drop(queue);
                queue = self.run_and_spin(&mut spin);
            }
            let Some(called) = self.park(queue) else {
                return;
            };
            queue = called;
        }
    }

    fn run_and_spin(&self, spin: &mut AdaptiveSpin) -> MutexGuard<'_, Queue> {
        yield_on_single_core();
        loop {
            let mut queue = self.run();
            if self.continues(&mut queue) {
                continue;
            }
            if !spin.is_due(queue.threads.may_look()) {
                return queue;
            }
            queue.threads.look();
            drop(queue);
            let took;
            (queue, took) = self.spin();
            queue.threads.looked();
            spin.record(took, queue.has_waiting());
            if !self.continues(&mut queue) {
                return queue;
            }
        }
    }

    /// Spins until there is a job or the time for it is over. Returns how long that took.
    fn spin(&self) -> (MutexGuard<'_, Queue>, Duration) {
        let since = Instant::now();
        loop {
            spin_or_yield();
            let queue = self.shared.queue();
            let took = since.elapsed();
            if queue.has_waiting() || AdaptiveSpin::is_over(took) {
                return (queue, took);
            }
        }
    }

    /// Whether there are jobs that no other thread is on its way to. The thread enters again then.
    fn continues(&self, queue: &mut Queue) -> bool {
        let continues = queue.has_waiting() && !queue.threads.has_standby();
        if continues {
            queue.threads.enter();
            self.phase.set(ThreadPhase::Entering);
        }
        continues
    }

    /// Runs the queued jobs, holding the thread guard if there is one.
    fn run(&self) -> MutexGuard<'_, Queue> {
        let guard = self.shared.guard.get();
        let scope = guard.map(GuardScope::enter);
        let mut now = Instant::now();
        let mut timeslice = Timeslice::start(now);
        let thread = thread::current();
        let mut done = None;
        let mut queue = self.shared.queue();
        queue.threads.entered();
        self.phase.set(ThreadPhase::Inside);
        while let Some(started) = queue.start(now, &thread) {
            let StartedJob {
                slot,
                work,
                admission,
                waited,
            } = started;
            self.job.replace(Some(slot));
            // This job may come to wait for something.
            let dispatch = queue.call_thread();
            if queue.has_waiting() {
                deferred_wakes::job_started(waited, queue.last_took());
            } else {
                deferred_wakes::last_job_started();
            }
            timeslice.job_started(queue.events());
            drop(queue);
            drop(done);
            PoolShared::dispatch(&self.shared, dispatch);
            let result = catch_unwind(AssertUnwindSafe(|| work(admission)));
            now = Instant::now();
            queue = self.shared.queue();
            timeslice.job_ended(queue.events(), now);
            done = self.finish(&mut queue, now);
            if let Err(panic) = result {
                drop(queue);
                tracing::error!("a job of the blocking pool panicked outside of its service");
                drop(panic);
                queue = self.shared.queue();
            }
            if queue.is_idle() {
                self.shared.idle.notify_waiters();
            }
            let is_lost = scope.is_some() && GuardScope::is_lost();
            let contenders = Contenders {
                returning: guard.is_some_and(|guard| guard.is_wanted()),
                standby: queue.threads.has_standby(),
                busy: queue.busy(),
            };
            if is_lost || timeslice.is_over(now, contenders) {
                break;
            }
            if deferred_wakes::is_due(queue.has_waiting(), now) {
                drop(queue);
                deferred_wakes::flush();
                queue = self.shared.queue();
            }
        }
        if scope.is_none() && !deferred_wakes::is_pending() {
            return queue;
        }
        // A job that is added meanwhile needs no other thread.
        queue.threads.look();
        drop(queue);
        deferred_wakes::flush();
        drop(scope);
        let mut queue = self.shared.queue();
        queue.threads.looked();
        queue
    }

    fn finish(&self, queue: &mut Queue, now: Instant) -> Option<RunningJob> {
        let slot = self.job.take()?;
        queue.finish(&slot, now)
    }

    /// Waits until the thread is called. `None` if it has to end.
    fn park<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> Option<MutexGuard<'a, Queue>> {
        queue.threads.park();
        let mut watches = queue.start_watch();
        let mut deadline = Instant::now() + if watches { WATCH_INTERVAL } else { LINGER };
        loop {
            if queue.threads.take_wakeup() {
                if watches {
                    queue.stop_watch();
                }
                self.phase.set(ThreadPhase::Entering);
                return Some(queue);
            }
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let ends = self.runtime.is_complete() || queue.is_closed();
            let stays = !ends && self.shared.guard.get().is_some();
            if watches && left.is_zero() {
                match queue.watch() {
                    Verdict::Watch => deadline = now + WATCH_INTERVAL,
                    Verdict::Help => {
                        self.phase.set(ThreadPhase::Entering);
                        return Some(queue);
                    }
                    Verdict::Stop => {
                        watches = false;
                        deadline = now + LINGER;
                    }
                }
                continue;
            }
            if ends && !watches || !stays && left.is_zero() {
                if !ends && queue.refusals.are_recent() {
                    // The thread might not be replaced.
                    #[cfg(test)]
                    {
                        queue.kept_threads += 1;
                    }
                    deadline = now + LINGER;
                    continue;
                }
                queue.threads.retire();
                self.phase.set(ThreadPhase::Gone);
                return None;
            }
            let work = &self.shared.work;
            queue = if stays && !watches {
                work.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                let wait = work.wait_timeout(queue, left);
                wait.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

impl Drop for PoolThread {
    /// The queue still counts the thread if it never ran, could not enter, or is ended by a panic.
    fn drop(&mut self) {
        let phase = self.phase.replace(ThreadPhase::Gone);
        if phase == ThreadPhase::Gone {
            return;
        }
        let (done, orphans, dispatch, idle) = {
            let mut queue = self.shared.queue();
            let done = self.finish(&mut queue, Instant::now());
            match phase {
                ThreadPhase::Starting => queue.threads.not_started(),
                ThreadPhase::Entering => {
                    queue.threads.entered();
                    queue.threads.leave();
                }
                ThreadPhase::Inside | ThreadPhase::Gone => queue.threads.leave(),
            }
            let (orphans, dispatch) = if phase == ThreadPhase::Inside {
                // The panic of one job is no reason to refuse others.
                (Vec::new(), queue.call_thread())
            } else {
                queue.replace()
            };
            (done, orphans, dispatch, queue.is_idle())
        };
        drop(done);
        for job in orphans {
            job.refuse(Rejection::NoThread);
        }
        PoolShared::dispatch(&self.shared, dispatch);
        if idle {
            self.shared.idle.notify_waiters();
        }
    }
}
