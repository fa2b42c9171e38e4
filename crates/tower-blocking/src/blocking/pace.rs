//! Whether those who run jobs are fast enough, or one more thread has to come.

use std::time::Duration;

use super::waiting::Waiting;

/// A job below this is short: a thread takes many of them in the time that another needs to wake up.
const SHORT: Duration = Duration::from_micros(100);

#[derive(Default)]
pub(super) struct Pace {
    /// The last job was short, so whoever runs the next one is soon back.
    pub(super) is_brisk: bool,
    pub(super) last_took: Duration,
    /// What the thread that watches saw last, if one does.
    seen: Option<Sight>,
}

#[derive(Clone, Copy)]
struct Sight {
    first: Option<u64>,
    next_id: u64,
}

/// What a thread that watches the queue has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Watch {
    /// To look again in a while.
    GoesOn,
    /// To run jobs: those who do are not fast enough.
    Comes,
    /// Nothing more.
    Ends,
}

impl Sight {
    fn of(waiting: &Waiting) -> Self {
        Self {
            first: waiting.first_id(),
            next_id: waiting.next_id(),
        }
    }
}

impl Pace {
    /// A job has run.
    pub(super) fn ran(&mut self, took: Duration) {
        self.is_brisk = took < SHORT;
        self.last_took = took;
    }

    pub(super) fn is_watched(&self) -> bool {
        self.seen.is_some()
    }

    pub(super) fn begin(&mut self, waiting: &Waiting) {
        self.seen = Some(Sight::of(waiting));
    }

    /// A look after a while. `one_at_a_time`: jobs cannot run side by side, so that it is enough that there
    /// is always a next one.
    pub(super) fn look(&mut self, waiting: &Waiting, one_at_a_time: bool) -> Watch {
        let now = Sight::of(waiting);
        let Some(before) = self.seen.replace(now) else {
            return Watch::Ends;
        };
        match now.first {
            Some(_) if one_at_a_time && now.first != before.first => Watch::GoesOn,
            Some(first) if !one_at_a_time && first >= before.next_id => Watch::GoesOn,
            Some(_) => Watch::Comes,
            None if now.next_id != before.next_id => Watch::GoesOn,
            None => Watch::Ends,
        }
    }

    pub(super) fn end(&mut self) {
        self.seen = None;
    }
}
