//! The threads of a pool: tokio's, taken while there is work.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    deferred,
    hold::Holding,
    job::Start,
    pace::Watch,
    queue::Queue,
    second_look::{SecondLook, let_others_work, step_back},
    sentinel::Sentinel,
    shared::Shared,
    turn::{Others, Turn},
};

/// How long a thread without work stays ready for the next job before tokio has it back. Short,
/// because a runtime that is shut down waits for it.
const LINGER: Duration = Duration::from_millis(20);

/// How often a thread looks whether others run the jobs fast enough. So long may a job wait though a thread
/// is free, where the ones before it were short.
const PATIENCE: Duration = Duration::from_micros(200);

/// How long a thread without work looks for more before it sleeps, where that has paid.
const LOOK: Duration = Duration::from_micros(50);

/// One of the pool's threads. Dropped with its loop, or with the runtime that never started it.
pub(super) struct Thread {
    shared: Arc<Shared>,
    /// How the queue counts it.
    place: Cell<Place>,
    /// Of the runtime, for a thread that stays. The runtime's end waits for it.
    runtime: Option<Sentinel>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It will run jobs as soon as it holds what it must.
    Entering,
    Inside,
    /// It has left.
    Gone,
}

impl Thread {
    /// The queue counts it already.
    pub(super) fn called(shared: &Arc<Shared>) -> Self {
        let stays = shared.gate.get().is_some();
        let runtime = stays.then(|| {
            let shared = Arc::clone(shared);
            Sentinel::new(move || shared.let_go())
        });
        Self {
            shared: Arc::clone(shared),
            place: Cell::new(Place::Entering),
            runtime,
        }
    }

    /// It was called. Runs jobs while there are any: one wake-up serves many jobs.
    pub(super) fn work(self) {
        let mut second_look = SecondLook::default();
        let mut queue = self.shared.queue();
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
            if !queue.threads.may_look() || !second_look.is_due() {
                return queue;
            }
            queue.threads.look();
            drop(queue);
            let (looked, in_time) = self.look();
            queue = looked;
            queue.threads.looked();
            second_look.found(in_time && queue.has_waiting());
            if !self.goes_on(&mut queue) {
                return queue;
            }
        }
    }

    /// Looks for a job for a while. Says whether that took no longer than it should: where other programs want
    /// the core, it is theirs for milliseconds, while the job waits. Who sleeps gets it back at once.
    fn look(&self) -> (MutexGuard<'_, Queue>, bool) {
        let since = Instant::now();
        loop {
            let_others_work();
            let queue = self.shared.queue();
            let looked = since.elapsed();
            if queue.has_waiting() || looked >= LOOK {
                return (queue, looked < 2 * LOOK);
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
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a job of the blocking pool panicked outside of its service");
            }
            now = Instant::now();
            queue = self.shared.queue();
            turn.end_job(queue.events(), now);
            done = queue.finish(&slot, now);
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
            let runtime = self.runtime.as_ref();
            let stays = runtime.is_some_and(|runtime| !runtime.is_gone()) && !queue.is_closed();
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
            if !stays && left.is_zero() {
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
    /// Only a thread that never ran, or that could not enter, is not gone yet.
    fn drop(&mut self) {
        let place = self.place.replace(Place::Gone);
        if place == Place::Gone {
            return;
        }
        let (orphans, next, idle) = {
            let mut queue = self.shared.queue();
            if place == Place::Entering {
                queue.threads.entered();
            }
            let (orphans, next) = queue.leave();
            (orphans, next, queue.is_idle())
        };
        drop(orphans);
        Shared::send(&self.shared, next);
        if idle {
            self.shared.idle.notify_waiters();
        }
    }
}
