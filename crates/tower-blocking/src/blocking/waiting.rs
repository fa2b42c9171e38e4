use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::job::Job;

/// After this time in the line, a job is dropped whose client has closed its sending side: requests that are still
/// waited for come first.
const PATIENCE: Duration = Duration::from_secs(1);

/// The jobs that wait for a thread, in the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    // Ids only grow, so the line is sorted.
    line: VecDeque<Place>,
    next_id: u64,
}

struct Place {
    id: u64,
    /// `None` if a thread is free for it.
    limit: Option<Limit>,
    job: Job,
}

/// How long a job may wait.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) since: Instant,
    /// When it is refused, if ever.
    pub(super) deadline: Option<Instant>,
}

impl Limit {
    pub(super) fn new(since: Instant, timeout: Duration) -> Self {
        Self {
            since,
            deadline: since.checked_add(timeout),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether the job is dropped that nobody may be waiting for.
    fn is_dropped(&self, job: &Job, now: Instant) -> bool {
        job.label.may_be_left() && now.saturating_duration_since(self.since) >= PATIENCE
    }

    /// When to look at the job the next time.
    fn next_look(&self, job: &Job, now: Instant) -> Option<Instant> {
        let look = || now.max(self.since) + PATIENCE;
        let look = job.label.knows_client().then(look);
        let [look, deadline] = [look, self.deadline];
        look.into_iter().chain(deadline).min()
    }
}

/// A job that has come to its turn.
pub(super) struct First {
    pub(super) id: u64,
    /// How long it has waited, if no thread was free for it.
    pub(super) waited: Duration,
    /// It was waited for too long to be run.
    pub(super) is_dropped: bool,
    pub(super) job: Job,
}

impl Waiting {
    pub(super) fn add(&mut self, job: Job) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.line.push_back(Place {
            id,
            limit: None,
            job,
        });
        id
    }

    /// Limits the wait of the job that was added last. Gives the time of the first look at it.
    pub(super) fn limit(&mut self, limit: Limit) -> Option<Instant> {
        let last = self.line.back_mut()?;
        last.limit = Some(limit);
        limit.next_look(&last.job, limit.since)
    }

    /// Limits the wait of all jobs that were to wait without a limit.
    pub(super) fn limit_all(&mut self, limit: Limit) {
        for place in &mut self.line {
            place.limit.get_or_insert(limit);
        }
    }

    /// A thread is there for the next job.
    pub(super) fn take_first(&mut self, now: Instant) -> Option<First> {
        let Place { id, limit, job } = self.line.pop_front()?;
        let waited = limit.map(|limit| now.saturating_duration_since(limit.since));
        Some(First {
            id,
            waited: waited.unwrap_or_default(),
            is_dropped: limit.is_some_and(|limit| limit.is_dropped(&job, now)),
            job,
        })
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Job> {
        let index = self.line.binary_search_by_key(&id, |it| it.id).ok()?;
        self.line.remove(index).map(|place| place.job)
    }

    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.line.drain(..).map(|place| place.job).collect()
    }

    /// Takes the jobs out that may not wait any longer.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Job> {
        let mut late = Vec::new();
        for place in std::mem::take(&mut self.line) {
            let Place { limit, job, .. } = &place;
            if limit.is_some_and(|limit| limit.is_over(now) || limit.is_dropped(job, now)) {
                late.push(place.job);
            } else {
                self.line.push_back(place);
            }
        }
        late
    }

    /// When the next job may be late.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let looks = self.line.iter().filter_map(|place| {
            let limit = place.limit?;
            limit.next_look(&place.job, now)
        });
        looks.min()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// The id of the one that has waited longest.
    pub(super) fn first_id(&self) -> Option<u64> {
        self.line.front().map(|it| it.id)
    }

    /// Of the job that will be added next: how many there have been.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }
}
