//! How many threads a pool has, and whether one more has to run jobs.

use std::time::Duration;

use super::entries::WaitingJobs;

/// What a pool has to do so that an added job runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dispatch {
    /// Nothing: a thread is about to look for the job, or all are busy and look when they are done.
    Nothing,
    /// A parked thread has to be woken.
    Wake,
    /// A thread has to be started.
    Start,
}

/// How many threads a pool has, and what they are about to do.
#[derive(Default)]
pub(super) struct ThreadCounts {
    /// Threads that run, whether they have a job or wait for one.
    total: usize,
    /// Threads that were requested and do not run yet.
    starting: usize,
    /// The system has refused a thread, and is not asked for more yet.
    is_start_paused: bool,
    /// Of `total`, those that are about to look for a job again.
    looking: usize,
    /// Threads that were called, and run jobs as soon as they hold the thread guard.
    entering: usize,
    /// Of `total`, those that wait for a job.
    parked: usize,
    /// Wake-ups that were given and not taken yet.
    wakeups: usize,
}

impl ThreadCounts {
    /// Has one more thread run jobs, unless one is on its way or there are `max` already.
    pub(super) fn call(&mut self, max: usize) -> Dispatch {
        let dispatch = if self.looking + self.entering > 0 {
            return Dispatch::Nothing;
        } else if self.parked > 0 {
            self.parked -= 1;
            self.wakeups += 1;
            Dispatch::Wake
        } else if self.total + self.starting < self.max(max) {
            self.starting += 1;
            Dispatch::Start
        } else {
            return Dispatch::Nothing;
        };
        self.entering += 1;
        dispatch
    }

    /// How many threads there can be at present, out of `max`.
    pub(super) fn max(&self, max: usize) -> usize {
        if self.is_start_paused {
            max.min(self.total + self.starting)
        } else {
            max
        }
    }

    /// The system is not asked for threads for a while.
    pub(super) fn pause_starts(&mut self) {
        self.is_start_paused = true;
    }

    /// The system may be asked for threads again.
    pub(super) fn resume_starts(&mut self) {
        self.is_start_paused = false;
    }

    /// A requested thread runs.
    pub(super) fn started(&mut self) {
        self.starting -= 1;
        self.total += 1;
    }

    /// A requested thread will never run.
    pub(super) fn not_started(&mut self) {
        self.starting -= 1;
        self.entering -= 1;
    }

    /// A thread that was called now runs jobs, or it leaves them to others.
    pub(super) fn entered(&mut self) {
        self.entering -= 1;
    }

    /// A thread enters without being called.
    pub(super) fn enter(&mut self) {
        self.entering += 1;
    }

    /// Whether a thread is on its way to the queued jobs.
    pub(super) fn has_standby(&self) -> bool {
        self.entering > 0
    }

    /// Whether a thread that found no job may look again before it sleeps: one at a time.
    pub(super) fn may_look(&self) -> bool {
        self.looking == 0
    }

    /// A thread will look for a job again.
    pub(super) fn look(&mut self) {
        self.looking += 1;
    }

    /// The thread looks now.
    pub(super) fn looked(&mut self) {
        self.looking -= 1;
    }

    /// A thread found no job and waits for one.
    pub(super) fn park(&mut self) {
        self.parked += 1;
    }

    pub(super) fn has_parked(&self) -> bool {
        self.parked > 0
    }

    /// A parked thread enters without being called.
    pub(super) fn unpark(&mut self) {
        self.parked -= 1;
        self.entering += 1;
    }

    /// Whether a parked thread was woken for a job. It no longer counts as parked then.
    pub(super) fn take_wakeup(&mut self) -> bool {
        let woken = self.wakeups > 0;
        self.wakeups -= usize::from(woken);
        woken
    }

    /// A parked thread that was not woken ends.
    pub(super) fn retire(&mut self) {
        self.parked -= 1;
        self.total -= 1;
    }

    /// A thread that was not parked has ended.
    pub(super) fn leave(&mut self) {
        self.total -= 1;
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    #[cfg(test)]
    pub(super) fn entering(&self) -> usize {
        self.entering
    }
}

/// A job below this is short: a thread runs many of them in the time that another one needs to wake up.
const SHORT_JOB: Duration = Duration::from_micros(100);

/// Whether the threads that run jobs are fast enough. While jobs are short, a parked thread watches that, and runs jobs
/// itself if they are not.
#[derive(Default)]
pub(super) struct ThroughputProbe {
    /// The last job was short, so its thread is soon back for the next one.
    pub(super) short_jobs: bool,
    pub(super) last_took: Duration,
    /// What the watching thread saw last, if there is one.
    snapshot: Option<Snapshot>,
}

/// The jobs that wait at one moment.
#[derive(Clone, Copy)]
struct Snapshot {
    first: Option<u64>,
    next_id: u64,
}

/// What the watching thread has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// To check again in a while.
    Watch,
    /// To run jobs: the other threads are not fast enough.
    Help,
    /// To stop watching: there is no work.
    Stop,
}

impl Snapshot {
    fn of(waiting: &WaitingJobs) -> Self {
        Self {
            first: waiting.first_id(),
            next_id: waiting.next_id(),
        }
    }
}

impl ThroughputProbe {
    /// Records how long a job ran.
    pub(super) fn record(&mut self, took: Duration) {
        self.short_jobs = took < SHORT_JOB;
        self.last_took = took;
    }

    pub(super) fn is_watched(&self) -> bool {
        self.snapshot.is_some()
    }

    pub(super) fn start(&mut self, waiting: &WaitingJobs) {
        self.snapshot = Some(Snapshot::of(waiting));
    }

    /// Compares the jobs that wait now with those of the last check. With `one_at_a_time`, jobs cannot run side by side,
    /// and it is enough that another one starts.
    pub(super) fn check(&mut self, waiting: &WaitingJobs, one_at_a_time: bool) -> Verdict {
        let now = Snapshot::of(waiting);
        let Some(before) = self.snapshot.replace(now) else {
            return Verdict::Stop;
        };
        match now.first {
            Some(_) if one_at_a_time && now.first != before.first => Verdict::Watch,
            Some(first) if !one_at_a_time && first >= before.next_id => Verdict::Watch,
            Some(_) => Verdict::Help,
            None if now.next_id != before.next_id => Verdict::Watch,
            None => Verdict::Stop,
        }
    }

    pub(super) fn stop(&mut self) {
        self.snapshot = None;
    }
}
