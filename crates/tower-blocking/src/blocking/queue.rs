//! The bookkeeping of a pool: which jobs wait, which run, which threads there are. It has no thread, no lock and no clock
//! of its own, so that tests can drive it step by step.

use std::{
    thread::Thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Id, time};

use super::{
    entries::{NextJob, RunningJob, RunningJobs, RunningSlot, WaitLimit, WaitingJobs},
    job::{Job, StartedJob},
    scaling::{Dispatch, ThreadCounts, ThroughputProbe, Verdict},
    spawner::{ThreadRefusal, ThreadRefusals},
};
use crate::rejection::Rejection;

/// The settings that bound a queue.
#[derive(Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) threads: usize,
    pub(super) max_queued: usize,
    pub(super) queue_timeout: Duration,
}

pub(super) struct Queue {
    pub(super) limits: QueueLimits,
    waiting: WaitingJobs,
    running: RunningJobs,
    probe: ThroughputProbe,
    pub(super) threads: ThreadCounts,
    pub(super) refusals: ThreadRefusals,
    /// Whether the threads hold a guard while they run jobs.
    has_guard: bool,
    /// The number of jobs that have run.
    pub(super) finished: u64,
    /// The number of jobs that were refused.
    pub(super) refused: u64,
    /// Of those that were refused: by the threads that took them.
    refused_by_threads: u64,
    is_closed: bool,
    /// The runtimes that have a timer for the queue timeout.
    pub(super) timers: Vec<Id>,
    /// How often a thread without work did not end because it might not be replaced.
    #[cfg(test)]
    pub(super) kept_threads: usize,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            waiting: WaitingJobs::default(),
            running: RunningJobs::default(),
            probe: ThroughputProbe::default(),
            threads: ThreadCounts::default(),
            refusals: ThreadRefusals::default(),
            has_guard: false,
            finished: 0,
            refused: 0,
            refused_by_threads: 0,
            is_closed: false,
            timers: Vec::new(),
            #[cfg(test)]
            kept_threads: 0,
        }
    }

    /// From now on threads hold a guard. Returns whether there was no job yet.
    pub(super) fn set_guard(&mut self) -> bool {
        self.has_guard = true;
        self.waiting.next_id() == 0
    }

    /// Adds a job if there is room for it: a free thread, or one of the `max_queued` places.
    pub(super) fn push(&mut self, job: Job) -> Result<(u64, Dispatch), (Job, Rejection)> {
        let room = self.free().saturating_add(self.limits.max_queued);
        let rejection = if self.is_closed {
            Rejection::Draining
        } else if self.threads.max(self.limits.threads) == 0 {
            Rejection::NoThread
        } else if self.waiting.len() >= room {
            Rejection::QueueFull
        } else {
            let id = self.waiting.add(job);
            return Ok((id, self.call_thread()));
        };
        self.refused += 1;
        Err((job, rejection))
    }

    /// Has one more thread run the queued jobs. Threads come one after the other: the first may have run all jobs before
    /// the second is awake.
    pub(super) fn call_thread(&mut self) -> Dispatch {
        let is_watched = self.short_jobs() && self.probe.is_watched();
        if self.waiting.is_empty() || is_watched {
            return Dispatch::Nothing;
        }
        self.threads.call(self.limits.threads)
    }

    /// Whether the threads that run jobs are soon back for the next ones. One more thread would get in their way then.
    /// But the running job may take longer than the last one, so a parked thread has to watch.
    pub(super) fn short_jobs(&self) -> bool {
        self.probe.short_jobs && self.busy() > 0
    }

    /// A parked thread starts to watch, if one has to. Returns whether it does.
    pub(super) fn start_watch(&mut self) -> bool {
        let starts = self.short_jobs() && !self.probe.is_watched();
        if starts {
            self.probe.start(&self.waiting);
        }
        starts
    }

    /// The thread that watches checks the queue.
    pub(super) fn watch(&mut self) -> Verdict {
        match self.probe.check(&self.waiting, self.has_guard) {
            // Another thread is on its way.
            Verdict::Help if self.threads.has_standby() => Verdict::Watch,
            Verdict::Help => {
                self.stop_watch();
                self.probe.short_jobs = false;
                self.threads.unpark();
                Verdict::Help
            }
            Verdict::Stop => {
                self.stop_watch();
                Verdict::Stop
            }
            Verdict::Watch => Verdict::Watch,
        }
    }

    pub(super) fn stop_watch(&mut self) {
        self.probe.stop();
    }

    /// The response of a running job is no longer awaited.
    pub(super) fn abandon(&mut self, id: u64) {
        self.running.abandon(id);
    }

    /// Takes out a job that still waits.
    pub(super) fn cancel(&mut self, id: u64) -> Option<Job> {
        self.waiting.take(id)
    }

    /// The next job for a thread.
    pub(super) fn start(&mut self, now: Instant, thread: &Thread) -> Option<StartedJob> {
        let NextJob {
            id,
            waited,
            admission,
            job: Job { request, work },
        } = self.waiting.take_next(now.into())?;
        let slot = self.running.add(RunningJob {
            id,
            since: now,
            is_abandoned: false,
            is_refused: admission.is_err(),
            request,
            thread: thread.clone(),
        });
        Some(StartedJob {
            slot,
            work,
            admission,
            waited,
        })
    }

    /// How long the last job ran.
    pub(super) fn last_took(&self) -> Duration {
        self.probe.last_took
    }

    /// Returns the entry of the job, which has to be dropped without the lock.
    pub(super) fn finish(&mut self, slot: &RunningSlot, now: Instant) -> Option<RunningJob> {
        let job = self.running.take(slot)?;
        if job.is_refused {
            self.refused += 1;
            self.refused_by_threads += 1;
        } else {
            self.finished += 1;
            self.probe.record(now.saturating_duration_since(job.since));
        }
        Some(job)
    }

    /// A thread that was not parked has ended, or a requested one never runs. Returns the jobs that no thread is left to
    /// run, or has a parked thread come in its place. None is started: where one has ended, another would.
    pub(super) fn replace(&mut self) -> (Vec<Job>, Dispatch) {
        if self.threads.total() == 0 {
            let orphans = self.take_waiting();
            self.refused += orphans.len() as u64;
            (orphans, Dispatch::Nothing)
        } else if self.threads.has_parked() {
            (Vec::new(), self.call_thread())
        } else {
            (Vec::new(), Dispatch::Nothing)
        }
    }

    /// The system has refused a thread. Until it is asked again, the pool has no more threads than now; so the wait of
    /// the jobs that were to have a thread of their own is limited.
    pub(super) fn refuse_thread(&mut self, now: impl FnOnce() -> time::Instant) -> ThreadRefusal {
        self.threads.pause_starts();
        if !self.waiting.is_empty() {
            let limit = WaitLimit::new(now(), self.limits.queue_timeout);
            self.waiting.limit_all(limit);
        }
        let threads = self.threads.total();
        let delay = self.refusals.add(threads);
        ThreadRefusal { delay, threads }
    }

    /// A requested thread runs.
    pub(super) fn thread_started(&mut self) {
        self.threads.started();
        self.refusals.end();
    }

    /// Refuses every new job from now on.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes out all jobs that still wait.
    pub(super) fn take_waiting(&mut self) -> Vec<Job> {
        self.waiting.take_all()
    }

    /// Takes out the jobs that must not wait any longer.
    pub(super) fn take_late(&mut self, now: time::Instant) -> Vec<(Job, Rejection)> {
        let late = self.waiting.take_late(now);
        self.refused += late.len() as u64;
        late
    }

    /// When the next job may be late.
    pub(super) fn next_check(&self, now: time::Instant) -> Option<time::Instant> {
        self.waiting.next_check(now)
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy() == 0 && self.waiting.is_empty()
    }

    /// The number of jobs that run.
    pub(super) fn busy(&self) -> usize {
        self.running.count()
    }

    /// How often a job was started or finished.
    pub(super) fn events(&self) -> u64 {
        let ended = self.finished + self.refused_by_threads;
        let started = ended + self.busy() as u64;
        started + ended
    }

    /// The number of jobs that wait because every thread is busy.
    pub(super) fn queued(&self) -> usize {
        self.waiting.len().saturating_sub(self.free())
    }

    /// Limits the wait of the job that was added last. Returns the time of its first check. There is none if a thread is
    /// free for the job and needs no guard.
    pub(super) fn limit_wait(
        &mut self,
        now: impl FnOnce() -> time::Instant,
    ) -> Option<time::Instant> {
        if !self.has_guard && self.queued() == 0 {
            return None;
        }
        let limit = WaitLimit::new(now(), self.limits.queue_timeout);
        self.waiting.limit(limit)
    }

    fn free(&self) -> usize {
        let threads = self.threads.max(self.limits.threads);
        threads.saturating_sub(self.busy())
    }

    /// When the oldest running job started.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.running.iter().map(|job| job.since).min()
    }

    /// The running jobs whose response is no longer awaited.
    pub(super) fn abandoned(&self) -> impl Iterator<Item = &RunningJob> {
        self.running.iter().filter(|job| job.is_abandoned)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tower_server_info::ConnectInfo;

    use super::*;
    use crate::blocking::job::RequestInfo;

    fn queue(threads: usize, max_queued: usize) -> Queue {
        Queue::new(QueueLimits {
            threads,
            max_queued,
            queue_timeout: Duration::MAX,
        })
    }

    fn start(queue: &mut Queue) -> Option<RunningSlot> {
        let started = queue.start(Instant::now(), &thread::current());
        started.map(|started| started.slot)
    }

    fn push(queue: &mut Queue) -> Option<(u64, Dispatch)> {
        let job = Job {
            request: RequestInfo::default(),
            work: Box::new(|_| {}),
        };
        queue.push(job).ok()
    }

    fn leave(queue: &mut Queue) -> (Vec<Job>, Dispatch) {
        queue.threads.leave();
        queue.replace()
    }

    /// A thread that was asked for runs, and is about to run jobs.
    fn come(queue: &mut Queue) {
        queue.thread_started();
        queue.threads.entered();
    }

    fn finish(queue: &mut Queue, slot: &RunningSlot) {
        queue.finish(slot, Instant::now() + Duration::from_secs(1));
    }

    #[test]
    fn threads_are_started_one_after_the_other_up_to_the_bound_then_jobs_queue_then_are_refused() {
        let mut queue = queue(2, 1);
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        assert_eq!(push(&mut queue), Some((1, Dispatch::Nothing)), "one comes");
        assert_eq!(queue.queued(), 0, "two free threads take them");
        assert_eq!(push(&mut queue), Some((2, Dispatch::Nothing)));
        assert_eq!(queue.queued(), 1);
        assert_eq!(push(&mut queue), None);
        assert_eq!(queue.refused, 1);

        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(queue.call_thread(), Dispatch::Start);
        assert_eq!(push(&mut queue), None, "one runs, one is next, one waits");
        come(&mut queue);
        assert!(start(&mut queue).is_some());
        assert_eq!(queue.call_thread(), Dispatch::Nothing, "there are no more");
        finish(&mut queue, &slot);
        assert_eq!(push(&mut queue), Some((3, Dispatch::Nothing)));
    }

    #[test]
    fn a_thread_that_looks_again_needs_no_wake_up() {
        let mut queue = queue(2, 0);
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        finish(&mut queue, &slot);
        assert!(queue.threads.may_look());
        queue.threads.look();
        assert!(!queue.threads.may_look());
        assert_eq!(push(&mut queue), Some((1, Dispatch::Nothing)));
        queue.threads.looked();
        assert!(start(&mut queue).is_some());
    }

    /// Two threads: one runs the second of two short jobs, the other one watches.
    fn watched(guarded: bool) -> (Queue, RunningSlot) {
        let mut queue = queue(2, 9);
        if guarded {
            queue.set_guard();
        }
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(push(&mut queue), Some((1, Dispatch::Start)));
        queue.finish(&slot, Instant::now());
        let slot = start(&mut queue).unwrap();
        assert!(queue.short_jobs());
        come(&mut queue);
        queue.threads.park();
        assert!(queue.start_watch());
        assert!(!queue.start_watch(), "one is enough");
        (queue, slot)
    }

    #[test]
    fn where_jobs_are_short_a_second_thread_comes_when_one_has_waited_for_a_while() {
        for guarded in [false, true] {
            let (mut queue, _runs) = watched(guarded);
            assert_eq!(push(&mut queue), Some((2, Dispatch::Nothing)));
            assert_eq!(queue.watch(), Verdict::Watch, "it was not there before");
            assert_eq!(queue.watch(), Verdict::Help);
            assert!(queue.threads.has_standby() && !queue.short_jobs());
            queue.threads.entered();
            assert!(start(&mut queue).is_some());
        }
    }

    #[test]
    fn where_one_job_runs_at_a_time_none_comes_as_long_as_others_start() {
        for guarded in [false, true] {
            let (mut queue, runs) = watched(guarded);
            push(&mut queue);
            push(&mut queue);
            assert_eq!(queue.watch(), Verdict::Watch);
            queue.finish(&runs, Instant::now());
            start(&mut queue).unwrap();
            let next = if guarded {
                Verdict::Watch
            } else {
                Verdict::Help
            };
            assert_eq!(queue.watch(), next);
        }
    }

    #[test]
    fn the_watch_ends_with_the_work_and_a_thread_is_called_again() {
        let (mut queue, runs) = watched(false);
        assert_eq!(queue.watch(), Verdict::Stop);
        queue.finish(&runs, Instant::now());
        queue.threads.park();
        assert!(!queue.start_watch(), "nothing runs");
        assert_eq!(push(&mut queue), Some((2, Dispatch::Wake)));
        assert!(queue.threads.take_wakeup());
        assert!(!queue.threads.take_wakeup());
    }

    #[test]
    fn nobody_counts_on_a_thread_that_leaves() {
        let mut queue = queue(1, 0);
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        finish(&mut queue, &slot);
        queue.threads.park();
        queue.threads.retire();
        assert_eq!(push(&mut queue), Some((1, Dispatch::Start)));
    }

    #[test]
    fn threads_that_hold_something_enter_one_after_the_other() {
        let mut queue = queue(3, 0);
        assert!(queue.set_guard());
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        assert_eq!(
            push(&mut queue),
            Some((1, Dispatch::Nothing)),
            "one comes already"
        );
        come(&mut queue);
        assert!(!queue.threads.has_standby());
        let first = start(&mut queue).unwrap();
        assert_eq!(
            queue.call_thread(),
            Dispatch::Start,
            "it may wait in its job"
        );
        assert_eq!(queue.call_thread(), Dispatch::Nothing);
        assert!(queue.threads.has_standby());
        queue.threads.entered();
        let second = start(&mut queue).unwrap();
        assert_eq!(
            queue.call_thread(),
            Dispatch::Nothing,
            "there is no more work"
        );
        finish(&mut queue, &first);
        queue.threads.park();
        finish(&mut queue, &second);
        queue.threads.park();
        assert_eq!(push(&mut queue), Some((2, Dispatch::Wake)));
        assert_eq!(push(&mut queue), Some((3, Dispatch::Nothing)));
        assert!(!queue.set_guard(), "too late");
    }

    #[test]
    fn in_the_place_of_a_thread_that_cannot_enter_another_comes() {
        let mut queue = queue(2, 0);
        queue.set_guard();
        assert_eq!(push(&mut queue), Some((0, Dispatch::Start)));
        come(&mut queue);
        let slot = start(&mut queue).unwrap();
        assert_eq!(push(&mut queue), Some((1, Dispatch::Start)));
        finish(&mut queue, &slot);
        // It leaves the work to the one that comes.
        assert!(queue.has_waiting() && queue.threads.has_standby());
        queue.threads.park();
        come(&mut queue);
        let (orphans, next) = leave(&mut queue);
        assert!(orphans.is_empty() && next == Dispatch::Wake);
        assert!(queue.threads.take_wakeup());
        queue.threads.entered();
        let (orphans, next) = leave(&mut queue);
        assert!(
            orphans.len() == 1 && next == Dispatch::Nothing,
            "it was the last"
        );
        assert_eq!(push(&mut queue), Some((2, Dispatch::Start)));
    }

    #[test]
    fn a_job_waits_without_a_limit_only_for_a_thread_that_is_free() {
        let now = time::Instant::now();
        let timeout = Duration::from_secs(5);
        let limited = |guarded| {
            let mut queue = queue(1, 1);
            queue.limits.queue_timeout = timeout;
            if guarded {
                queue.set_guard();
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
        assert_eq!(held.next_check(now), Some(now + timeout));
        assert!(held.take_late(now).is_empty());
        assert_eq!((held.take_late(now + timeout).len(), held.refused), (1, 1));
        assert!(held.is_idle() && held.next_check(now).is_none());
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
                request: RequestInfo::of(&request),
                work: Box::new(|_| {}),
            };
            queue.push(job).ok().unwrap();
            (input, queue.limit_wait(|| now))
        };
        let mut queue = queue(1, 9);
        let (free, check) = push(&mut queue);
        assert_eq!(check, None, "a thread is free");
        let others = [(); 4].map(|()| push(&mut queue));
        assert!(others.iter().all(|(_, check)| *check == Some(now + second)));
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
        assert_eq!(queue.next_check(almost), Some(almost + second));
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
