//! The threads of a pool, which run while there is work.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    deferred,
    hold::Holding,
    job::Start,
    pace::Watch,
    queue::Queue,
    refusals::refused,
    runs::{Run, Slot},
    second_look::{SecondLook, let_others_work, step_back},
    sentinel::Sentinel,
    shared::Shared,
    turn::{Others, Turn},
};

/// How long a thread without work stays ready for the next job. A thread is started in less than a ten thousandth
/// of it, so a pool with some work all the time starts none; and one that is idle gives the memory back.
const LINGER: Duration = Duration::from_secs(1);

/// How often a thread looks whether others run the jobs fast enough. So long may a job wait though a thread
/// is free, where the ones before it were short.
const PATIENCE: Duration = Duration::from_micros(200);

/// One of the pool's threads. Dropped with its loop, or by the system that refuses to start it.
pub(super) struct Thread {
    shared: Arc<Shared>,
    /// How the queue counts it.
    place: Cell<Place>,
    /// The job that it runs.
    job: RefCell<Option<Slot>>,
    /// Of the runtime in whose context it runs: it ends with it.
    runtime: Sentinel,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It does not run yet.
    Starting,
    /// It will run jobs as soon as it holds what it must.
    Entering,
    Inside,
    /// It has left.
    Gone,
}

impl Thread {
    /// Starts one that the queue knows to be starting, in the context of this runtime. Not to be called with the
    /// lock.
    pub(super) fn start(shared: &Arc<Shared>) {
        let runtime = Handle::current();
        let thread = Self {
            shared: Arc::clone(shared),
            place: Cell::new(Place::Starting),
            job: RefCell::new(None),
            runtime: {
                let shared = Arc::clone(shared);
                Sentinel::new(move || shared.let_go())
            },
        };
        let started = shared.spawner.spawn(move || {
            let _context = runtime.enter();
            thread.work();
        });
        if let Err(error) = started {
            refused(shared, &error);
        }
    }

    /// It was called. Runs jobs while there are any: one wake-up serves many jobs.
    fn work(self) {
        let mut second_look = SecondLook::default();
        let mut queue = self.shared.queue();
        queue.thread_started();
        self.place.set(Place::Entering);
        loop {
            if queue.is_brisk() {
                queue.threads.entered();
                self.place.set(Place::Inside);
            } else {
                drop(queue);
                queue = self.run_and_look(&mut second_look);
            }
            let Some(called) = self.park(queue) else {
                return;
            };
            queue = called;
        }
    }

    fn run_and_look(&self, second_look: &mut SecondLook) -> MutexGuard<'_, Queue> {
        step_back();
        loop {
            let mut queue = self.run();
            if self.goes_on(&mut queue) {
                continue;
            }
            if !second_look.is_due(queue.threads.may_look()) {
                return queue;
            }
            queue.threads.look();
            drop(queue);
            let took;
            (queue, took) = self.look();
            queue.threads.looked();
            second_look.took(took, queue.has_waiting());
            if !self.goes_on(&mut queue) {
                return queue;
            }
        }
    }

    /// Looks for a job for a while. Says how long that took.
    fn look(&self) -> (MutexGuard<'_, Queue>, Duration) {
        let since = Instant::now();
        loop {
            let_others_work();
            let queue = self.shared.queue();
            let took = since.elapsed();
            if queue.has_waiting() || SecondLook::is_over(took) {
                return (queue, took);
            }
        }
    }

    /// Whether there are jobs that no other thread comes for.
    fn goes_on(&self, queue: &mut Queue) -> bool {
        let goes_on = queue.has_waiting() && !queue.threads.has_stand_by();
        if goes_on {
            queue.threads.enter();
            self.place.set(Place::Entering);
        }
        goes_on
    }

    /// Runs the jobs that wait, holding what must be held.
    fn run(&self) -> MutexGuard<'_, Queue> {
        let gate = self.shared.gate.get();
        let holding = gate.map(Holding::begin);
        let mut now = Instant::now();
        let mut turn = Turn::begin(now);
        let thread = thread::current();
        let mut done = None;
        let mut queue = self.shared.queue();
        queue.threads.entered();
        self.place.set(Place::Inside);
        while let Some(Start { slot, work, waited }) = queue.start(now, &thread) {
            self.job.replace(Some(slot));
            // It may come to wait in this one.
            let next = queue.call_thread();
            if queue.has_waiting() {
                deferred::begin(waited, queue.last_took());
            } else {
                deferred::begin_last();
            }
            turn.begin_job(queue.events());
            drop(queue);
            drop(done);
            Shared::send(&self.shared, next);
            let result = catch_unwind(AssertUnwindSafe(work));
            now = Instant::now();
            queue = self.shared.queue();
            turn.end_job(queue.events(), now);
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
            let lost = holding.is_some() && Holding::is_lost();
            let others = Others {
                returning: gate.is_some_and(|gate| gate.is_wanted()),
                stand_by: queue.threads.has_stand_by(),
                busy: queue.busy(),
            };
            if lost || turn.is_over(now, others) {
                break;
            }
            if deferred::is_due(queue.has_waiting(), now) {
                drop(queue);
                deferred::flush();
                queue = self.shared.queue();
            }
        }
        if holding.is_none() && !deferred::has_answers() {
            return queue;
        }
        // Whoever adds a job meanwhile need not wake another thread.
        queue.threads.look();
        drop(queue);
        deferred::flush();
        drop(holding);
        let mut queue = self.shared.queue();
        queue.threads.looked();
        queue
    }

    fn finish(&self, queue: &mut Queue, now: Instant) -> Option<Run> {
        let slot = self.job.take()?;
        queue.finish(&slot, now)
    }

    /// Waits until it is called, or has left.
    fn park<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> Option<MutexGuard<'a, Queue>> {
        queue.threads.park();
        let mut watches = queue.begin_watch();
        let mut deadline = Instant::now() + if watches { PATIENCE } else { LINGER };
        loop {
            if queue.threads.take_wakeup() {
                if watches {
                    queue.end_watch();
                }
                self.place.set(Place::Entering);
                return Some(queue);
            }
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let ends = self.runtime.is_gone() || queue.is_closed();
            let stays = !ends && self.shared.gate.get().is_some();
            if watches && left.is_zero() {
                match queue.watch() {
                    Watch::GoesOn => deadline = now + PATIENCE,
                    Watch::Comes => {
                        self.place.set(Place::Entering);
                        return Some(queue);
                    }
                    Watch::Ends => {
                        watches = false;
                        deadline = now + LINGER;
                    }
                }
                continue;
            }
            if ends && !watches || !stays && left.is_zero() {
                if !ends && queue.refusals.keep_thread() {
                    // Another one could not be had in its place.
                    deadline = now + LINGER;
                    continue;
                }
                queue.threads.retire();
                self.place.set(Place::Gone);
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

impl Drop for Thread {
    /// Only a thread that never ran, that could not enter, or that a panic ends is not gone yet.
    fn drop(&mut self) {
        let place = self.place.replace(Place::Gone);
        if place == Place::Gone {
            return;
        }
        let (done, orphans, next, idle) = {
            let mut queue = self.shared.queue();
            let done = self.finish(&mut queue, Instant::now());
            match place {
                Place::Starting => queue.threads.not_started(),
                Place::Entering => {
                    queue.threads.entered();
                    queue.threads.leave();
                }
                Place::Inside | Place::Gone => queue.threads.leave(),
            }
            let (orphans, next) = if place == Place::Inside {
                // The panic of one job is no reason for others to have none.
                (Vec::new(), queue.call_thread())
            } else {
                queue.replace()
            };
            (done, orphans, next, queue.is_idle())
        };
        drop((done, orphans));
        Shared::send(&self.shared, next);
        if idle {
            self.shared.idle.notify_waiters();
        }
    }
}
