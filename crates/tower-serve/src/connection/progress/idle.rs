//! What an idle connection waits for and since when, for the table that gives it up.

use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// What a connection waits for while it serves no request, in the order in which a full table gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::connection) enum Awaits {
    /// The next request of a client that was served before.
    NextRequest,
    /// The first request; nothing of it has come.
    FirstRequest,
    /// The rest of a TLS handshake.
    Handshake,
    /// The rest of a request head.
    RestOfHead,
    /// Nothing: the connection is closing.
    Nothing,
}

const ALL: [Awaits; 5] = [
    Awaits::NextRequest,
    Awaits::FirstRequest,
    Awaits::Handshake,
    Awaits::RestOfHead,
    Awaits::Nothing,
];

/// Since when a connection waits for its client. Written where a connection becomes idle, which is rare, and
/// not with each request: what was noted is void after the next request.
#[derive(Debug)]
pub(in crate::connection) struct Idle {
    awaits: AtomicU8,
    /// In milliseconds of the worker's life.
    since: AtomicU64,
    /// The requests at that time.
    calls: AtomicU64,
    /// The connection is to close, if it is idle still.
    given_up: AtomicBool,
    waker: AtomicWaker,
}

impl Idle {
    /// A new connection.
    pub(super) fn new(now: u64) -> Self {
        Self {
            awaits: AtomicU8::new(Awaits::FirstRequest as u8),
            since: AtomicU64::new(now),
            calls: AtomicU64::new(0),
            given_up: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    pub(super) fn note(&self, awaits: Awaits, now: u64, calls: u64) {
        self.awaits.store(awaits as u8, Relaxed);
        self.since.store(now, Relaxed);
        self.calls.store(calls, Relaxed);
    }

    /// What it waits for, and since when; `None` when it has had a request since, or is closing.
    pub(super) fn noted(&self, calls: u64) -> Option<(Awaits, u64)> {
        let awaits = *ALL.get(usize::from(self.awaits.load(Relaxed)))?;
        let is_idle = awaits != Awaits::Nothing && self.calls.load(Relaxed) == calls;
        is_idle.then(|| (awaits, self.since.load(Relaxed)))
    }

    /// Whom to wake when the connection is given up.
    pub(in crate::connection) fn set_waker(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Asks the connection to close, unless it is not idle any more. Whether it was not asked before.
    pub(super) fn give_up(&self) -> bool {
        let first = !self.given_up.swap(true, AcqRel);
        self.waker.wake();
        first
    }

    pub(in crate::connection) fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    /// It is not idle any more.
    pub(in crate::connection) fn keep(&self) {
        self.given_up.store(false, Relaxed);
    }
}
