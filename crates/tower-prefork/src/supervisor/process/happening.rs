use std::{io, num::NonZeroI32, time::Duration};

use tower_serve::internal::threads;

/// What a worker process has done.
#[derive(Debug)]
pub(in crate::supervisor) enum Happening {
    /// It serves now.
    Ready,
    /// It is alive, and has said what it does.
    Beat,
    /// It is to be replaced.
    Spent(Spent),
    Ended(Ended),
}

/// Why a worker is to be replaced.
#[derive(Debug)]
pub(in crate::supervisor) struct Spent {
    pub(in crate::supervisor) reason: String,
    /// A thread of it is stuck, and so may soon be all of them.
    pub(in crate::supervisor) stuck: bool,
}

/// How a worker process ended.
#[derive(Debug)]
pub(in crate::supervisor) struct Ended {
    pub(in crate::supervisor) pid: Option<NonZeroI32>,
    pub(in crate::supervisor) cause: String,
    /// More lines of the cause, to be shown as they are.
    pub(in crate::supervisor) details: String,
    /// `None` when it never was ready.
    pub(in crate::supervisor) ready_for: Option<Duration>,
    /// Requests that did not finish.
    pub(in crate::supervisor) cut: usize,
}

impl Ended {
    pub(in crate::supervisor) fn not_started(error: &io::Error) -> Self {
        Self {
            pid: None,
            cause: threads::refused("cannot start the process", error),
            details: String::new(),
            ready_for: None,
            cut: 0,
        }
    }
}
