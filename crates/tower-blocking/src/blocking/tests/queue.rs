//! The bookkeeping of the pool under threads that take their steps in any order.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use crate::blocking::{
    job::{Job, Next, Start},
    label::Label,
    pace::Watch,
    queue::{Limits, Queue},
    runs::Slot,
};

/// A thread of the pool between two of its steps: each is what it does under the lock.
enum Thread {
    /// It was asked for.
    Starting,
    Entering,
    /// In its job.
    Running(Slot),
    /// In its job, and waiting for something: it does not hold what it must.
    Waiting(Slot),
    /// It found no more jobs, or stepped down.
    Idle,
    Looking,
    /// Whether it watches.
    Parked(bool),
}

struct Pool {
    queue: Queue,
    held: bool,
    threads: Vec<Thread>,
    jobs: u64,
    cancelled: usize,
    /// Nobody was left to run them.
    orphans: usize,
    ran: Arc<Mutex<BTreeSet<u64>>>,
}

impl Pool {
    fn new(threads: usize, held: bool) -> Self {
        let mut queue = Queue::new(Limits {
            threads,
            max_queued: usize::MAX,
            queue_timeout: Duration::MAX,
        });
        if held {
            queue.hold();
        }
        Self {
            queue,
            held,
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
        let run = move || assert!(ran.lock().unwrap().insert(job), "it ran twice");
        let job = Job {
            label: Label::default(),
            work: Box::new(run),
        };
        match self.queue.push(job) {
            Ok((_, next)) => self.send(next),
            Err(_) => self.orphans += 1,
        }
    }

    fn send(&mut self, next: Next) {
        if next == Next::Start {
            self.threads.push(Thread::Starting);
        }
    }

    /// The system may be asked for threads again.
    fn ask_again(&mut self) {
        self.queue.threads.may_start(true);
        let next = self.queue.call_thread();
        self.send(next);
    }

    fn is_held(&self) -> bool {
        let inside = |thread: &Thread| matches!(thread, Thread::Running(_));
        self.held && self.threads.iter().any(inside)
    }

    /// Lets a thread take its next step. Says whether it could.
    fn step(&mut self, index: usize, variant: u8) -> bool {
        let free = !self.is_held();
        match std::mem::replace(&mut self.threads[index], Thread::Idle) {
            Thread::Starting if variant == 4 => {
                self.threads.remove(index);
                self.queue.threads.not_started();
                let (orphans, next) = self.queue.replace();
                self.orphans += orphans.len();
                self.send(next);
                self.queue.refuse_thread(tokio::time::Instant::now);
            }
            Thread::Starting => {
                self.queue.thread_started();
                self.threads[index] = Thread::Entering;
            }
            // It leaves the jobs to others, as a real one does only when it was called.
            Thread::Entering if self.queue.is_brisk() => {
                self.queue.threads.entered();
                self.park(index);
            }
            Thread::Entering if free => {
                self.queue.threads.entered();
                self.start(index);
            }
            Thread::Running(slot) if variant == 0 => self.threads[index] = Thread::Waiting(slot),
            Thread::Waiting(slot) if free => self.threads[index] = Thread::Running(slot),
            Thread::Running(slot) => {
                let took = Duration::from_secs(u64::from(variant % 2));
                self.queue.finish(&slot, Instant::now() + took);
                if !(self.queue.threads.has_stand_by() && variant == 1) {
                    self.start(index);
                }
            }
            Thread::Idle => {
                if self.queue.has_waiting() && !self.queue.threads.has_stand_by() {
                    self.queue.threads.enter();
                    self.threads[index] = Thread::Entering;
                } else if variant == 2 && self.queue.threads.may_look() {
                    self.queue.threads.look();
                    self.threads[index] = Thread::Looking;
                } else {
                    self.park(index);
                }
            }
            Thread::Looking => {
                self.queue.threads.looked();
                if self.queue.has_waiting() && !self.queue.threads.has_stand_by() {
                    self.queue.threads.enter();
                    self.threads[index] = Thread::Entering;
                } else {
                    self.park(index);
                }
            }
            Thread::Parked(watches) => {
                if self.queue.threads.take_wakeup() {
                    if watches {
                        self.queue.end_watch();
                    }
                    self.threads[index] = Thread::Entering;
                } else if watches {
                    match self.queue.watch() {
                        Watch::Comes => self.threads[index] = Thread::Entering,
                        Watch::GoesOn => {
                            self.threads[index] = Thread::Parked(true);
                            return self.queue.has_waiting();
                        }
                        Watch::Ends => self.threads[index] = Thread::Parked(false),
                    }
                } else if variant == 3 && !self.held {
                    self.queue.threads.retire();
                    self.threads.remove(index);
                } else {
                    self.threads[index] = Thread::Parked(false);
                    return false;
                }
            }
            stuck @ (Thread::Entering | Thread::Waiting(_)) => {
                self.threads[index] = stuck;
                return false;
            }
        }
        true
    }

    fn park(&mut self, index: usize) {
        self.queue.threads.park();
        let watches = self.queue.begin_watch();
        self.threads[index] = Thread::Parked(watches);
    }

    fn start(&mut self, index: usize) {
        if let Some(Start {
            slot, work: job, ..
        }) = self.queue.start(Instant::now(), &thread::current())
        {
            let next = self.queue.call_thread();
            self.send(next);
            job();
            self.threads[index] = Thread::Running(slot);
        }
    }

    fn check(&self, most: usize) {
        let runs = |thread: &&Thread| !matches!(thread, Thread::Starting);
        let run = self.threads.iter().filter(runs).count();
        assert_eq!(self.queue.threads.total(), run);
        assert!(self.threads.len() <= most);
        let busy = |thread: &&Thread| matches!(thread, Thread::Running(_) | Thread::Waiting(_));
        assert_eq!(self.queue.busy(), self.threads.iter().filter(busy).count());
        assert!(
            self.queue.threads.entering() <= 1,
            "two threads come at once"
        );
        let watching = |thread: &&Thread| matches!(thread, Thread::Parked(true));
        assert!(self.threads.iter().filter(watching).count() <= 1);
    }

    /// Lets all threads go on until each waits for work.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut goes_on = false;
            for index in (0..self.threads.len()).rev() {
                goes_on |= self.step(index, u8::MAX);
            }
            if !goes_on {
                return;
            }
        }
        panic!("threads go on for ever");
    }
}

proptest! {
    #[test]
    fn every_job_runs_once_in_whatever_order_the_threads_take_their_steps(
        most in 1_usize..5,
        held: bool,
        steps in prop::collection::vec((0_u8..11, any::<prop::sample::Index>(), 0_u8..5), 0..200),
    ) {
        let mut pool = Pool::new(most, held);
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
