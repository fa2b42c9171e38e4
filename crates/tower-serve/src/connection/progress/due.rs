use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// What the answer to a request waits for, and since when.
#[derive(Debug)]
pub(in crate::connection) struct Due {
    begun: Instant,
    /// The service has a request, and has not begun to answer it.
    unanswered: AtomicBool,
    /// It waits for more of the request's body.
    body_awaited: AtomicBool,
    /// When it was last given some of it: milliseconds since the connection began.
    body_taken: AtomicU64,
    /// Milliseconds that it has had the request for, when it is waited for no longer.
    overdue: AtomicU64,
}

impl Due {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            unanswered: AtomicBool::new(false),
            body_awaited: AtomicBool::new(false),
            body_taken: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
        }
    }

    pub(super) fn set_asked(&self) {
        self.unanswered.store(true, Relaxed);
    }

    pub(in crate::connection) fn set_answered(&self) {
        self.unanswered.store(false, Relaxed);
        self.overdue.store(0, Relaxed);
    }

    pub(in crate::connection) fn is_unanswered(&self) -> bool {
        self.unanswered.load(Relaxed)
    }

    pub(in crate::connection) fn set_body_awaited(&self, awaited: bool) {
        self.body_awaited.store(awaited, Relaxed);
    }

    pub(in crate::connection) fn body_awaited(&self) -> bool {
        self.body_awaited.load(Relaxed)
    }

    /// The service was given some of the request's body.
    pub(in crate::connection) fn set_body_taken(&self) {
        self.body_taken
            .store(milliseconds(self.begun.elapsed()), Relaxed);
        self.set_body_awaited(false);
    }

    /// When it last was.
    pub(in crate::connection) fn body_taken(&self) -> Instant {
        self.begun + Duration::from_millis(self.body_taken.load(Relaxed))
    }

    /// The service is waited for no longer, after this time.
    pub(in crate::connection) fn set_overdue(&self, age: Duration) {
        self.overdue.store(milliseconds(age).max(1), Relaxed);
    }

    /// For how long the service has had the request, if it is waited for no longer.
    pub(in crate::connection) fn overdue(&self) -> Option<Duration> {
        let age = self.overdue.load(Relaxed);
        (age != 0).then(|| Duration::from_millis(age))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
