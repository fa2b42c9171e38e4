//! The bookkeeping of the pool under threads that take their steps in any order.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use crate::blocking::{
    entries::RunningSlot,
    job::{Job, RequestInfo, StartedJob},
    queue::{Queue, QueueLimits},
    scaling::{Dispatch, Verdict},
};

/// A thread of the pool between two of its steps. A step is what it does under the lock.
enum SimulatedThread {
    /// It was requested.
    Starting,
    Entering,
    /// In its job.
    Running(RunningSlot),
    /// In its job, which waits for something, so that the thread does not hold the guard.
    Waiting(RunningSlot),
    /// It found no more jobs, or its timeslice is over.
    Idle,
    Looking,
    /// Whether it watches.
    Parked(bool),
}

struct SimulatedPool {
    queue: Queue,
    guarded: bool,
    threads: Vec<SimulatedThread>,
    jobs: u64,
    cancelled: usize,
    /// The number of jobs that no thread was left to run.
    orphans: usize,
    ran: Arc<Mutex<BTreeSet<u64>>>,
}

impl SimulatedPool {
    fn new(threads: usize, guarded: bool) -> Self {
        let mut queue = Queue::new(QueueLimits {
            threads,
            max_queued: usize::MAX,
            queue_timeout: Duration::MAX,
        });
        if guarded {
            queue.set_guard();
        }
        Self {
            queue,
            guarded,
            threads: Vec::new(),
            jobs: 0,
            cancelled: 0,
            orphans: 0,
            ran: Arc::default(),
        }
    }

    fn push(&mut self) {
        let (job, ran) = (self.jobs, Arc::clone(&self.ran));
        self.jobs += 1;
        let run = move |_| assert!(ran.lock().unwrap().insert(job), "it ran twice");
        let job = Job {
            request: RequestInfo::default(),
            work: Box::new(run),
        };
        match self.queue.push(job) {
            Ok((_, next)) => self.dispatch(next),
            Err(_) => self.orphans += 1,
        }
    }

    fn dispatch(&mut self, next: Dispatch) {
        if next == Dispatch::Start {
            self.threads.push(SimulatedThread::Starting);
        }
    }

    /// The system may be asked for threads again.
    fn ask_again(&mut self) {
        self.queue.threads.resume_starts();
        let next = self.queue.call_thread();
        self.dispatch(next);
    }

    fn is_held(&self) -> bool {
        let inside = |thread: &SimulatedThread| matches!(thread, SimulatedThread::Running(_));
        self.guarded && self.threads.iter().any(inside)
    }

    /// Has a thread take its next step. Returns whether it could.
    fn step(&mut self, index: usize, variant: u8) -> bool {
        let free = !self.is_held();
        match std::mem::replace(&mut self.threads[index], SimulatedThread::Idle) {
            SimulatedThread::Starting if variant == 4 => {
                self.threads.remove(index);
                self.queue.threads.not_started();
                let (orphans, next) = self.queue.replace();
                self.orphans += orphans.len();
                self.dispatch(next);
                self.queue.refuse_thread(tokio::time::Instant::now);
            }
            SimulatedThread::Starting => {
                self.queue.thread_started();
                self.threads[index] = SimulatedThread::Entering;
            }
            // It leaves the jobs to others, which a real thread does only when it was called.
            SimulatedThread::Entering if self.queue.short_jobs() => {
                self.queue.threads.entered();
                self.park(index);
            }
            SimulatedThread::Entering if free => {
                self.queue.threads.entered();
                self.start(index);
            }
            SimulatedThread::Running(slot) if variant == 0 => {
                self.threads[index] = SimulatedThread::Waiting(slot);
            }
            SimulatedThread::Waiting(slot) if free => {
                self.threads[index] = SimulatedThread::Running(slot);
            }
            SimulatedThread::Running(slot) => {
                let took = Duration::from_secs(u64::from(variant % 2));
                self.queue.finish(&slot, Instant::now() + took);
                if !(self.queue.threads.has_standby() && variant == 1) {
                    self.start(index);
                }
            }
            SimulatedThread::Idle => {
                if self.queue.has_waiting() && !self.queue.threads.has_standby() {
                    self.queue.threads.enter();
                    self.threads[index] = SimulatedThread::Entering;
                } else if variant == 2 && self.queue.threads.may_look() {
                    self.queue.threads.look();
                    self.threads[index] = SimulatedThread::Looking;
                } else {
                    self.park(index);
                }
            }
            SimulatedThread::Looking => {
                self.queue.threads.looked();
                if self.queue.has_waiting() && !self.queue.threads.has_standby() {
                    self.queue.threads.enter();
                    self.threads[index] = SimulatedThread::Entering;
                } else {
                    self.park(index);
                }
            }
            SimulatedThread::Parked(watches) => {
                if self.queue.threads.take_wakeup() {
                    if watches {
                        self.queue.stop_watch();
                    }
                    self.threads[index] = SimulatedThread::Entering;
                } else if watches {
                    match self.queue.watch() {
                        Verdict::Help => self.threads[index] = SimulatedThread::Entering,
                        Verdict::Watch => {
                            self.threads[index] = SimulatedThread::Parked(true);
                            return self.queue.has_waiting();
                        }
                        Verdict::Stop => self.threads[index] = SimulatedThread::Parked(false),
                    }
                } else if variant == 3 && !self.guarded {
                    self.queue.threads.retire();
                    self.threads.remove(index);
                } else {
                    self.threads[index] = SimulatedThread::Parked(false);
                    return false;
                }
            }
            stuck @ (SimulatedThread::Entering | SimulatedThread::Waiting(_)) => {
                self.threads[index] = stuck;
                return false;
            }
        }
        true
    }

    fn park(&mut self, index: usize) {
        self.queue.threads.park();
        let watches = self.queue.start_watch();
        self.threads[index] = SimulatedThread::Parked(watches);
    }

    fn start(&mut self, index: usize) {
        if let Some(StartedJob {
            slot, work: job, ..
        }) = self.queue.start(Instant::now(), &thread::current())
        {
            let next = self.queue.call_thread();
            self.dispatch(next);
            job(Ok(()));
            self.threads[index] = SimulatedThread::Running(slot);
        }
    }

    fn check(&self, most: usize) {
        let runs = |thread: &&SimulatedThread| !matches!(thread, SimulatedThread::Starting);
        let run = self.threads.iter().filter(runs).count();
        assert_eq!(self.queue.threads.total(), run);
        assert!(self.threads.len() <= most);
        let busy = |thread: &&SimulatedThread| {
            matches!(
                thread,
                SimulatedThread::Running(_) | SimulatedThread::Waiting(_)
            )
        };
        assert_eq!(self.queue.busy(), self.threads.iter().filter(busy).count());
        assert!(
            self.queue.threads.entering() <= 1,
            "two threads come at once"
        );
        let watching = |thread: &&SimulatedThread| matches!(thread, SimulatedThread::Parked(true));
        assert!(self.threads.iter().filter(watching).count() <= 1);
    }

    /// Has all threads take steps until each waits for work.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut progress = false;
            for index in (0..self.threads.len()).rev() {
                progress |= self.step(index, u8::MAX);
            }
            if !progress {
                return;
            }
        }
        panic!("threads take steps for ever");
    }
}

proptest! {
    #[test]
    fn every_job_runs_once_whatever_the_order_of_steps(
        most in 1_usize..5,
        guarded: bool,
        steps in prop::collection::vec((0_u8..11, any::<prop::sample::Index>(), 0_u8..5), 0..200),
    ) {
        let mut pool = SimulatedPool::new(most, guarded);
        for (what, which, variant) in steps {
            match what {
                0..3 => pool.push(),
                3 if pool.jobs > 0 => {
                    let id = which.index(usize::try_from(pool.jobs).unwrap()) as u64;
                    pool.cancelled += usize::from(pool.queue.cancel(id).is_some());
                }
                4 => pool.ask_again(),
                _ if pool.threads.is_empty() => {}
                _ => {
                    pool.step(which.index(pool.threads.len()), variant);
                }
            }
            pool.check(most);
        }
        pool.settle();
        pool.check(most);
        prop_assert!(pool.queue.is_idle(), "no thread is left to come for a job");
        let ran = pool.ran.lock().unwrap().len();
        prop_assert_eq!(ran + pool.cancelled + pool.orphans, usize::try_from(pool.jobs).unwrap());
    }
}
