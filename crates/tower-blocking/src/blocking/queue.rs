//! The bookkeeping of a pool: which jobs wait, which run, which threads there are. No thread, no
//! lock, no clock of its own, so that it can be tested by hand.

use std::{
    thread::Thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Id, time};

use super::{
    job::{Job, Next, Start},
    pace::{Pace, Watch},
    refusals::{Refusal, Refusals},
    runs::{Run, Runs, Slot},
    thread_counts::ThreadCounts,
    waiting::{First, Limit, Waiting},
};

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) threads: usize,
    pub(super) max_queued: usize,
    pub(super) queue_timeout: Duration,
}

pub(super) struct Queue {
    pub(super) limits: Limits,
    waiting: Waiting,
    running: Runs,
    pace: Pace,
    pub(super) threads: ThreadCounts,
    pub(super) refusals: Refusals,
    /// Whether the threads hold something while they run jobs.
    held: bool,
    pub(super) finished: u64,
    pub(super) refused: u64,
    /// Of those that were refused: by a thread, in the place of a job.
    dropped: u64,
    closed: bool,
    /// The runtimes that see to the time limit.
    pub(super) keepers: Vec<Id>,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: Waiting::default(),
            running: Runs::default(),
            pace: Pace::default(),
            threads: ThreadCounts::default(),
            refusals: Refusals::default(),
            held: false,
            finished: 0,
            refused: 0,
            dropped: 0,
            closed: false,
            keepers: Vec::new(),
        }
    }

    /// From now on threads hold something. Says whether there was no job yet.
    pub(super) fn hold(&mut self) -> bool {
        self.held = true;
        self.waiting.next_id() == 0
    }

    /// Adds a job if there is room for it: a free thread, or one of the `max_queued` places.
    pub(super) fn push(&mut self, job: Job) -> Result<(u64, Next), Job> {
        let room = self.free().saturating_add(self.limits.max_queued);
        let no_thread = self.threads.most(self.limits.threads) == 0;
        if self.closed || no_thread || self.waiting.len() >= room {
            self.refused += 1;
            return Err(job);
        }
        let id = self.waiting.add(job);
        Ok((id, self.call_thread()))
    }

    /// Has one more thread come for the jobs that wait. They come one after the other: the first may run
    /// all that there is before the second is awake.
    pub(super) fn call_thread(&mut self) -> Next {
        let is_watched = self.is_brisk() && self.pace.is_watched();
        if self.waiting.is_empty() || is_watched {
            return Next::Wait;
        }
        self.threads.call(self.limits.threads)
    }

    /// Whether those who run jobs are soon back for the next ones. One more thread would get in their way
    /// then. But since nobody knows how long a job takes, a thread has to watch.
    pub(super) fn is_brisk(&self) -> bool {
        self.pace.is_brisk && self.busy() > 0
    }

    /// A parked thread begins to watch, if one has to.
    pub(super) fn begin_watch(&mut self) -> bool {
        let begins = self.is_brisk() && !self.pace.is_watched();
        if begins {
            self.pace.begin(&self.waiting);
        }
        begins
    }

    /// The thread that watches looks again.
    pub(super) fn watch(&mut self) -> Watch {
        match self.pace.look(&self.waiting, self.held) {
            // Another one is on its way.
            Watch::Comes if self.threads.has_stand_by() => Watch::GoesOn,
            Watch::Comes => {
                self.end_watch();
                self.pace.is_brisk = false;
                self.threads.unpark();
                Watch::Comes
            }
            Watch::Ends => {
                self.end_watch();
                Watch::Ends
            }
            Watch::GoesOn => Watch::GoesOn,
        }
    }

    pub(super) fn end_watch(&mut self) {
        self.pace.end();
    }

    /// Nobody waits any more for the answer of a job that runs.
    pub(super) fn abandon(&mut self, id: u64) {
        self.running.abandon(id);
    }

    /// Takes a job out that still waits.
    pub(super) fn cancel(&mut self, id: u64) -> Option<Job> {
        self.waiting.take(id)
    }

    /// The next job for a thread. One that is dropped is, as all of them, better dropped without the lock: that is
    /// its work then.
    pub(super) fn start(&mut self, now: Instant, thread: &Thread) -> Option<Start> {
        let First {
            id,
            waited,
            is_dropped,
            job: Job { label, mut work },
        } = self.waiting.take_first(now.into())?;
        if is_dropped {
            work = Box::new(move || drop(work));
        }
        let slot = self.running.add(Run {
            id,
            since: now,
            abandoned: false,
            is_dropped,
            label,
            thread: thread.clone(),
        });
        Some(Start { slot, work, waited })
    }

    /// How long the last job ran.
    pub(super) fn last_took(&self) -> Duration {
        self.pace.last_took
    }

    /// Gives what was known of the job, which is better dropped without the lock.
    pub(super) fn finish(&mut self, slot: &Slot, now: Instant) -> Option<Run> {
        let run = self.running.take(slot)?;
        if run.is_dropped {
            self.refused += 1;
            self.dropped += 1;
        } else {
            self.finished += 1;
            self.pace.ran(now.saturating_duration_since(run.since));
        }
        Some(run)
    }

    /// A thread that did not wait has ended, or one that was asked for never runs. Gives the jobs that nobody is
    /// left to run, or the thread that has to come in its place. None is started: where one has ended, another
    /// would.
    pub(super) fn replace(&mut self) -> (Vec<Job>, Next) {
        if self.threads.total() == 0 {
            let orphans = self.take_waiting();
            self.refused += orphans.len() as u64;
            (orphans, Next::Wait)
        } else if self.threads.has_parked() {
            (Vec::new(), self.call_thread())
        } else {
            (Vec::new(), Next::Wait)
        }
    }

    /// The system has refused a thread. Until it is asked again, those that the pool has are all that there may be;
    /// so the jobs that were to have others are limited in their wait.
    pub(super) fn refuse_thread(&mut self, now: impl FnOnce() -> time::Instant) -> Refusal {
        self.threads.may_start(false);
        if !self.waiting.is_empty() {
            let limit = Limit::new(now(), self.limits.queue_timeout);
            self.waiting.limit_all(limit);
        }
        let threads = self.threads.total();
        let delay = self.refusals.add(threads);
        Refusal { delay, threads }
    }

    /// A thread that was asked for runs.
    pub(super) fn thread_started(&mut self) {
        self.threads.started();
        self.refusals.end();
    }

    /// Refuses every new job from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether a thread without work may end for good.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes all jobs out that still wait.
    pub(super) fn take_waiting(&mut self) -> Vec<Job> {
        self.waiting.take_all()
    }

    /// Takes the jobs out that may not wait any longer.
    pub(super) fn take_late(&mut self, now: time::Instant) -> Vec<Job> {
        let late = self.waiting.take_late(now);
        self.refused += late.len() as u64;
        late
    }

    /// When the next job may be late.
    pub(super) fn next_look(&self, now: time::Instant) -> Option<time::Instant> {
        self.waiting.next_look(now)
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy() == 0 && self.waiting.is_empty()
    }

    pub(super) fn busy(&self) -> usize {
        self.running.count()
    }

    /// How often a job was begun or finished.
    pub(super) fn events(&self) -> u64 {
        let ended = self.finished + self.dropped;
        let begun = ended + self.busy() as u64;
        begun + ended
    }

    /// The jobs that wait because every thread is busy.
    pub(super) fn queued(&self) -> usize {
        self.waiting.len().saturating_sub(self.free())
    }

    /// Limits the wait of the job that was added last. Gives the time of the first look at it; there is none if a
    /// thread is free for the job, though what the thread must hold may not be.
    pub(super) fn limit_wait(
        &mut self,
        now: impl FnOnce() -> time::Instant,
    ) -> Option<time::Instant> {
        if !self.held && self.queued() == 0 {
            return None;
        }
        let limit = Limit::new(now(), self.limits.queue_timeout);
        self.waiting.limit(limit)
    }

    fn free(&self) -> usize {
        let threads = self.threads.most(self.limits.threads);
        threads.saturating_sub(self.busy())
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.running.iter().map(|run| run.since).min()
    }

    /// Those that nobody waits for.
    pub(super) fn abandoned(&self) -> impl Iterator<Item = &Run> {
        self.running.iter().filter(|run| run.abandoned)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tower_server_info::ConnectInfo;

    use super::*;
    use crate::blocking::label::Label;

    fn queue(threads: usize, max_queued: usize) -> Queue {
        Queue::new(Limits {
            threads,
            max_queued,
            queue_timeout: Duration::MAX,
        })
    }

    fn start(queue: &mut Queue) -> Option<Slot> {
        let started = queue.start(Instant::now(), &thread::current());
        started.map(|started| started.slot)
    }

    fn push(queue: &mut Queue) -> Option<(u64, Next)> {
        let job = Job {
            label: Label::default(),
            work: Box::new(|| {}),
        };
        queue.push(job).ok()
    }

    fn leave(queue: &mut Queue) -> (Vec<Job>, Next) {
        queue.threads.leave();
        queue.replace()
    }

    /// A thread that was asked for runs, and is about to run jobs.
    fn come(queue: &mut Queue) {
        queue.thread_started();
        queue.threads.entered();
    }

    fn finish(queue: &mut Queue, slot: &Slot) {
        queue.finish(slot, Instant::now() + Duration::from_secs(1));
    }

    #[test]
    fn threads_are_started_one_after_the_other_up_to_the_bound_then_jobs_queue_then_are_refused() {
        let mut queue = queue(2, 1);
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        assert_eq!(push(&mut queue), Some((1, Next::Wait)), "one comes");
        assert_eq!(queue.queued(), 0, "two free threads take them");
        assert_eq!(push(&mut queue), Some((2, Next::Wait)));
        assert_eq!(queue.queued(), 1);
        assert_eq!(push(&mut queue), None);
        assert_eq!(queue.refused, 1);

        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(queue.call_thread(), Next::Start);
        assert_eq!(push(&mut queue), None, "one runs, one is next, one waits");
        come(&mut queue);
        assert!(start(&mut queue).is_some());
        assert_eq!(queue.call_thread(), Next::Wait, "there are no more");
        finish(&mut queue, &slot);
        assert_eq!(push(&mut queue), Some((3, Next::Wait)));
    }

    #[test]
    fn a_thread_that_looks_again_needs_no_wake_up() {
        let mut queue = queue(2, 0);
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        finish(&mut queue, &slot);
        assert!(queue.threads.may_look());
        queue.threads.look();
        assert!(!queue.threads.may_look());
        assert_eq!(push(&mut queue), Some((1, Next::Wait)));
        queue.threads.looked();
        assert!(start(&mut queue).is_some());
    }

    /// Two threads: one runs the second of two short jobs, the other one watches.
    fn watched(held: bool) -> (Queue, Slot) {
        let mut queue = queue(2, 9);
        if held {
            queue.hold();
        }
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(push(&mut queue), Some((1, Next::Start)));
        queue.finish(&slot, Instant::now());
        let slot = start(&mut queue).unwrap();
        assert!(queue.is_brisk());
        come(&mut queue);
        queue.threads.park();
        assert!(queue.begin_watch());
        assert!(!queue.begin_watch(), "one is enough");
        (queue, slot)
    }

    #[test]
    fn where_jobs_are_short_a_second_thread_comes_when_one_has_waited_for_a_while() {
        for held in [false, true] {
            let (mut queue, _runs) = watched(held);
            assert_eq!(push(&mut queue), Some((2, Next::Wait)));
            assert_eq!(queue.watch(), Watch::GoesOn, "it was not there before");
            assert_eq!(queue.watch(), Watch::Comes);
            assert!(queue.threads.has_stand_by() && !queue.is_brisk());
            queue.threads.entered();
            assert!(start(&mut queue).is_some());
        }
    }

    #[test]
    fn where_one_job_runs_at_a_time_none_comes_as_long_as_others_start() {
        for held in [false, true] {
            let (mut queue, runs) = watched(held);
            push(&mut queue);
            push(&mut queue);
            assert_eq!(queue.watch(), Watch::GoesOn);
            queue.finish(&runs, Instant::now());
            start(&mut queue).unwrap();
            let next = if held { Watch::GoesOn } else { Watch::Comes };
            assert_eq!(queue.watch(), next);
        }
    }

    #[test]
    fn the_watch_ends_with_the_work_and_a_thread_is_called_again() {
        let (mut queue, runs) = watched(false);
        assert_eq!(queue.watch(), Watch::Ends);
        queue.finish(&runs, Instant::now());
        queue.threads.park();
        assert!(!queue.begin_watch(), "nothing runs");
        assert_eq!(push(&mut queue), Some((2, Next::Wake)));
        assert!(queue.threads.take_wakeup());
        assert!(!queue.threads.take_wakeup());
    }

    #[test]
    fn nobody_counts_on_a_thread_that_leaves() {
        let mut queue = queue(1, 0);
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        finish(&mut queue, &slot);
        queue.threads.park();
        queue.threads.retire();
        assert_eq!(push(&mut queue), Some((1, Next::Start)));
    }

    #[test]
    fn threads_that_hold_something_enter_one_after_the_other() {
        let mut queue = queue(3, 0);
        assert!(queue.hold());
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        assert_eq!(push(&mut queue), Some((1, Next::Wait)), "one comes already");
        come(&mut queue);
        assert!(!queue.threads.has_stand_by());
        let first = start(&mut queue).unwrap();
        assert_eq!(queue.call_thread(), Next::Start, "it may wait in its job");
        assert_eq!(queue.call_thread(), Next::Wait);
        assert!(queue.threads.has_stand_by());
        queue.threads.entered();
        let second = start(&mut queue).unwrap();
        assert_eq!(queue.call_thread(), Next::Wait, "there is no more work");
        finish(&mut queue, &first);
        queue.threads.park();
        finish(&mut queue, &second);
        queue.threads.park();
        assert_eq!(push(&mut queue), Some((2, Next::Wake)));
        assert_eq!(push(&mut queue), Some((3, Next::Wait)));
        assert!(!queue.hold(), "too late");
    }

    #[test]
    fn in_the_place_of_a_thread_that_cannot_enter_another_comes() {
        let mut queue = queue(2, 0);
        queue.hold();
        assert_eq!(push(&mut queue), Some((0, Next::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(push(&mut queue), Some((1, Next::Start)));
        finish(&mut queue, &slot);
        // It leaves the work to the one that comes.
        assert!(queue.has_waiting() && queue.threads.has_stand_by());
        queue.threads.park();
        come(&mut queue);
        let (orphans, next) = leave(&mut queue);
        assert!(orphans.is_empty() && next == Next::Wake);
        assert!(queue.threads.take_wakeup());
        queue.threads.entered();
        let (orphans, next) = leave(&mut queue);
        assert!(orphans.len() == 1 && next == Next::Wait, "it was the last");
        assert_eq!(push(&mut queue), Some((2, Next::Start)));
    }

    #[test]
    fn a_job_waits_without_a_limit_only_for_a_thread_that_is_free() {
        let now = time::Instant::now();
        let timeout = Duration::from_secs(5);
        let limited = |held| {
            let mut queue = queue(1, 1);
            queue.limits.queue_timeout = timeout;
            if held {
                queue.hold();
            }
            queue
        };
        let mut plain = limited(false);
        push(&mut plain);
        assert_eq!(plain.limit_wait(|| now), None);
        push(&mut plain);
        assert_eq!(plain.limit_wait(|| now), Some(now + timeout));
        let mut held = limited(true);
        push(&mut held);
        assert_eq!(held.limit_wait(|| now), Some(now + timeout));
        assert_eq!(held.next_look(now), Some(now + timeout));
        assert!(held.take_late(now).is_empty());
        assert_eq!((held.take_late(now + timeout).len(), held.refused), (1, 1));
        assert!(held.is_idle() && held.next_look(now).is_none());
    }

    #[test]
    fn a_job_whose_client_has_closed_its_side_is_dropped_when_it_has_waited_for_a_second() {
        let (now, second) = (time::Instant::now(), Duration::from_secs(1));
        let push = |queue: &mut Queue| {
            let connection = ConnectInfo::unix(None);
            let input = connection.input().clone();
            let mut request = http::Request::new(());
            request.extensions_mut().insert(connection);
            let job = Job {
                label: Label::of(&request),
                work: Box::new(|| {}),
            };
            queue.push(job).ok().unwrap();
            (input, queue.limit_wait(|| now))
        };
        let mut queue = queue(1, 9);
        let (free, look) = push(&mut queue);
        assert_eq!(look, None, "a thread is free");
        let others = [(); 4].map(|()| push(&mut queue));
        assert!(others.iter().all(|(_, look)| *look == Some(now + second)));
        let [open, early, late, last] = others.map(|(input, _)| input);
        for input in [&free, &early, &late] {
            input.close();
        }

        let start = |queue: &mut Queue, at: time::Instant| {
            let start = queue.start(at.into_std(), &thread::current()).unwrap();
            queue.finish(&start.slot, at.into_std());
            (queue.finished, queue.refused)
        };
        assert_eq!(start(&mut queue, now + 9 * second), (1, 0));
        assert_eq!(start(&mut queue, now + 9 * second), (2, 0));
        let almost = now + second - Duration::from_millis(1);
        assert!(queue.take_late(almost).is_empty());
        assert_eq!(queue.next_look(almost), Some(almost + second));
        assert_eq!(
            start(&mut queue, almost),
            (3, 0),
            "it has not waited so long"
        );
        assert_eq!(start(&mut queue, now + second), (3, 1), "it has");
        assert!(queue.take_late(now + second).is_empty());
        last.close();
        assert_eq!(queue.take_late(now + second).len(), 1);
        assert_eq!((queue.finished, queue.refused), (3, 2));
        assert!(!open.is_closed() && queue.is_idle());
    }

    #[test]
    fn a_cancelled_job_leaves_its_place() {
        let mut queue = queue(1, 2);
        let ids: Vec<u64> = (0..3).map(|_| push(&mut queue).unwrap().0).collect();
        assert!(queue.cancel(ids[1]).is_some());
        assert!(queue.cancel(ids[1]).is_none());
        assert!(push(&mut queue).is_some());
        let _running = start(&mut queue).unwrap();
        assert!(queue.cancel(ids[0]).is_none(), "it runs already");
    }
}
