//! The entries of a pool's queue: the jobs that wait for a thread, and the jobs that run.

use std::{
    collections::VecDeque,
    thread::Thread,
    time::{self, Duration},
};

use tokio::time::Instant;

use super::job::{Job, RequestInfo};
use crate::rejection::Rejection;

/// How long a job may wait whose client has closed its sending side: requests that are surely awaited come first.
const CLOSED_CLIENT_WAIT: Duration = Duration::from_secs(1);

/// The jobs that wait for a thread, in the order in which they came.
#[derive(Default)]
pub(super) struct WaitingJobs {
    // Sorted, as ids only grow.
    line: VecDeque<WaitingJob>,
    next_id: u64,
}

struct WaitingJob {
    id: u64,
    /// `None` if a thread is free for it.
    limit: Option<WaitLimit>,
    job: Job,
}

/// How long a job may wait.
#[derive(Clone, Copy)]
pub(super) struct WaitLimit {
    since: Instant,
    /// When it is refused, if ever.
    deadline: Option<Instant>,
}

impl WaitLimit {
    pub(super) fn new(since: Instant, timeout: Duration) -> Self {
        Self {
            since,
            deadline: since.checked_add(timeout),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether the job is refused because its client may have left.
    fn is_client_gone(&self, job: &Job, now: Instant) -> bool {
        job.request.client_closed_input()
            && now.saturating_duration_since(self.since) >= CLOSED_CLIENT_WAIT
    }

    /// Why the job must not wait any longer, if so.
    fn rejection(&self, job: &Job, now: Instant) -> Option<Rejection> {
        if self.is_over(now) {
            Some(Rejection::QueueTimeout)
        } else if self.is_client_gone(job, now) {
            Some(Rejection::ClientClosed)
        } else {
            None
        }
    }

    /// When to check the job the next time.
    fn next_check(&self, job: &Job, now: Instant) -> Option<Instant> {
        let check = || now.max(self.since) + CLOSED_CLIENT_WAIT;
        let check = job.request.has_client_input().then(check);
        check.into_iter().chain(self.deadline).min()
    }
}

/// The job that a thread takes from the front.
pub(super) struct NextJob {
    pub(super) id: u64,
    /// How long it has waited, if no thread was free for it.
    pub(super) waited: Duration,
    /// Whether it is run.
    pub(super) admission: Result<(), Rejection>,
    pub(super) job: Job,
}

impl WaitingJobs {
    pub(super) fn add(&mut self, job: Job) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.line.push_back(WaitingJob {
            id,
            limit: None,
            job,
        });
        id
    }

    /// Limits the wait of the job that was added last. Returns the time of its first check.
    pub(super) fn limit(&mut self, limit: WaitLimit) -> Option<Instant> {
        let last = self.line.back_mut()?;
        last.limit = Some(limit);
        limit.next_check(&last.job, limit.since)
    }

    /// Limits the wait of all jobs that had no limit.
    pub(super) fn limit_all(&mut self, limit: WaitLimit) {
        for waiting in &mut self.line {
            waiting.limit.get_or_insert(limit);
        }
    }

    /// A thread takes the next job.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<NextJob> {
        let WaitingJob { id, limit, job } = self.line.pop_front()?;
        let waited = limit.map(|limit| now.saturating_duration_since(limit.since));
        Some(NextJob {
            id,
            waited: waited.unwrap_or_default(),
            admission: match limit {
                Some(limit) if limit.is_client_gone(&job, now) => Err(Rejection::ClientClosed),
                _ => Ok(()),
            },
            job,
        })
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Job> {
        let index = self.line.binary_search_by_key(&id, |it| it.id).ok()?;
        self.line.remove(index).map(|waiting| waiting.job)
    }

    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.line.drain(..).map(|waiting| waiting.job).collect()
    }

    /// Takes the jobs that must not wait any longer.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<(Job, Rejection)> {
        let mut late = Vec::new();
        for waiting in std::mem::take(&mut self.line) {
            let rejection = waiting
                .limit
                .and_then(|limit| limit.rejection(&waiting.job, now));
            match rejection {
                Some(rejection) => late.push((waiting.job, rejection)),
                None => self.line.push_back(waiting),
            }
        }
        late
    }

    /// When the next job may be late.
    pub(super) fn next_check(&self, now: Instant) -> Option<Instant> {
        let checks = self.line.iter().filter_map(|waiting| {
            let limit = waiting.limit?;
            limit.next_check(&waiting.job, now)
        });
        checks.min()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// The id of the job that has waited longest.
    pub(super) fn first_id(&self) -> Option<u64> {
        self.line.front().map(|it| it.id)
    }

    /// The id of the next job that is added, which is the number of jobs so far.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }
}

/// A job on its thread.
pub(super) struct RunningJob {
    pub(super) id: u64,
    pub(super) since: time::Instant,
    /// Whether its response is no longer awaited.
    pub(super) is_abandoned: bool,
    /// Its thread refuses it.
    pub(super) is_refused: bool,
    pub(super) request: RequestInfo,
    pub(super) thread: Thread,
}

/// The jobs that run.
#[derive(Default)]
pub(super) struct RunningJobs {
    /// A slot that is `None` is free.
    slots: Vec<Option<RunningJob>>,
    count: usize,
}

/// The index of a running job.
#[derive(Debug)]
pub(super) struct RunningSlot(usize);

impl RunningJobs {
    pub(super) fn add(&mut self, job: RunningJob) -> RunningSlot {
        let slot = self.slots.iter().position(Option::is_none);
        let slot = slot.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(job);
        self.count += 1;
        RunningSlot(slot)
    }

    pub(super) fn take(&mut self, slot: &RunningSlot) -> Option<RunningJob> {
        self.count -= 1;
        self.slots[slot.0].take()
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RunningJob> {
        self.slots.iter().flatten()
    }

    pub(super) fn abandon(&mut self, id: u64) {
        let mut running = self.slots.iter_mut().flatten();
        if let Some(job) = running.find(|job| job.id == id) {
            job.is_abandoned = true;
        }
    }
}
