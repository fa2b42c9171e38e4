use std::collections::VecDeque;

use tokio::time::Instant;

use super::job::Job;

/// The jobs that wait for a thread, in the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    // Ids only grow, so the line is sorted.
    line: VecDeque<Place>,
    next_id: u64,
}

struct Place {
    id: u64,
    /// When the job is refused; `None` if a thread is free for it.
    deadline: Option<Instant>,
    job: Job,
}

impl Waiting {
    pub(super) fn add(&mut self, job: Job) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.line.push_back(Place {
            id,
            deadline: None,
            job,
        });
        id
    }

    /// Limits the wait of the job that was added last.
    pub(super) fn limit(&mut self, deadline: Option<Instant>) {
        if let Some(last) = self.line.back_mut() {
            last.deadline = deadline;
        }
    }

    /// With its id and its deadline.
    pub(super) fn take_first(&mut self) -> Option<(u64, Option<Instant>, Job)> {
        let Place { id, deadline, job } = self.line.pop_front()?;
        Some((id, deadline, job))
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
            if place.deadline.is_some_and(|deadline| deadline <= now) {
                late.push(place.job);
            } else {
                self.line.push_back(place);
            }
        }
        late
    }

    /// When the next job is late.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.line.iter().filter_map(|it| it.deadline).min()
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
