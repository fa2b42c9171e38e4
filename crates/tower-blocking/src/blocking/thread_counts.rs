use super::job::Next;

/// How many threads a pool has, and what they are about to do.
#[derive(Default)]
pub(super) struct ThreadCounts {
    /// Threads that run, whether they have a job or wait for one.
    total: usize,
    /// The ones that were asked for, and do not run yet.
    starting: usize,
    /// The system has refused one, and is not asked for more yet.
    barred: bool,
    /// Of these, the ones that are about to look for a job again.
    looking: usize,
    /// The ones that were called, and will run jobs as soon as they hold what they must.
    entering: usize,
    /// And the ones that wait for a job.
    parked: usize,
    /// Wake-ups that were given and not yet taken.
    wakeups: usize,
}

impl ThreadCounts {
    /// Has a thread come, unless one does already, or there are as many as there may be.
    pub(super) fn call(&mut self, most: usize) -> Next {
        let next = if self.looking + self.entering > 0 {
            return Next::Wait;
        } else if self.parked > 0 {
            self.parked -= 1;
            self.wakeups += 1;
            Next::Wake
        } else if self.total + self.starting < self.most(most) {
            self.starting += 1;
            Next::Start
        } else {
            return Next::Wait;
        };
        self.entering += 1;
        next
    }

    /// How many there may be, where there may be no more than `most`.
    pub(super) fn most(&self, most: usize) -> usize {
        if self.barred {
            most.min(self.total + self.starting)
        } else {
            most
        }
    }

    /// Whether the system may be asked for threads.
    pub(super) fn may_start(&mut self, may: bool) {
        self.barred = !may;
    }

    /// A thread that was asked for runs.
    pub(super) fn started(&mut self) {
        self.starting -= 1;
        self.total += 1;
    }

    /// It never will.
    pub(super) fn not_started(&mut self) {
        self.starting -= 1;
        self.entering -= 1;
    }

    /// A thread that was called holds what it must and will now run jobs, or it leaves them to others.
    pub(super) fn entered(&mut self) {
        self.entering -= 1;
    }

    /// A thread that was not called enters.
    pub(super) fn enter(&mut self) {
        self.entering += 1;
    }

    /// Whether a thread is on its way to the jobs that wait.
    pub(super) fn has_stand_by(&self) -> bool {
        self.entering > 0
    }

    /// Whether a thread that found no job may look once more before it sleeps: one at a time.
    pub(super) fn may_look(&self) -> bool {
        self.looking == 0
    }

    /// A thread found no job, and will look once more.
    pub(super) fn look(&mut self) {
        self.looking += 1;
    }

    /// It looks now.
    pub(super) fn looked(&mut self) {
        self.looking -= 1;
    }

    /// A thread found no job and waits for one.
    pub(super) fn park(&mut self) {
        self.parked += 1;
    }

    /// Whether one waits.
    pub(super) fn has_parked(&self) -> bool {
        self.parked > 0
    }

    /// A waiting thread enters by itself.
    pub(super) fn unpark(&mut self) {
        self.parked -= 1;
        self.entering += 1;
    }

    /// Whether a waiting thread was woken for a job. It no longer counts as waiting then.
    pub(super) fn take_wakeup(&mut self) -> bool {
        let woken = self.wakeups > 0;
        self.wakeups -= usize::from(woken);
        woken
    }

    /// A waiting thread was not woken, and ends: from now on nobody counts on it.
    pub(super) fn retire(&mut self) {
        self.parked -= 1;
        self.total -= 1;
    }

    /// A thread that did not wait has ended.
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
