//! What the parts of one connection tell each other.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::runtime::Handle;

use super::Load;

/// The state of one connection, as its socket, its service and its bodies report it.
///
/// A request body may be read on another thread than the connection's, so all of it is atomic.
#[derive(Debug)]
pub(super) struct Progress {
    load: Load,
    runtime: Handle,
    body_timeout: Duration,

    /// Bytes read, those of empty lines between two requests left out.
    read: AtomicU64,
    written: AtomicU64,
    /// There is something to write, and the socket does not take it.
    blocked: AtomicBool,
    /// The client sends nothing any more.
    eof: AtomicBool,

    calls: AtomicU64,
    responding: AtomicBool,
    receiving: AtomicBool,
    received: AtomicWaker,
    body: AtomicU8,

    closing: AtomicBool,
    tainted: AtomicBool,
    broken: AtomicBool,
    upgrade: AtomicBool,
}

/// What has become of the current request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum BodyState {
    /// It was received to its end, or there was none.
    Complete,
    /// Some of it may still be to come.
    Unread,
    /// It was cut off, or is malformed.
    Malformed,
    /// The client did not go on sending it in time.
    TimedOut,
}

impl Progress {
    pub(super) fn new(load: Load, body_timeout: Duration) -> Self {
        Self {
            load,
            runtime: Handle::current(),
            body_timeout,
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            eof: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            responding: AtomicBool::new(false),
            receiving: AtomicBool::new(false),
            received: AtomicWaker::new(),
            body: AtomicU8::new(BodyState::Complete as u8),
            closing: AtomicBool::new(false),
            tainted: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            upgrade: AtomicBool::new(false),
        }
    }

    /// The event loop that the connection runs on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn body_timeout(&self) -> Duration {
        self.body_timeout
    }

    pub(super) fn add_read(&self, bytes: usize) {
        // One thread writes the counters of the socket, so they need no read-modify-write.
        self.read
            .store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(super) fn add_written(&self, bytes: usize) {
        self.written
            .store(self.written.load(Relaxed) + bytes as u64, Relaxed);
        self.blocked.store(false, Relaxed);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    pub(super) fn set_blocked(&self) {
        self.blocked.store(true, Relaxed);
    }

    pub(super) fn blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    pub(super) fn set_eof(&self) {
        self.eof.store(true, Relaxed);
    }

    pub(super) fn eof(&self) -> bool {
        self.eof.load(Relaxed)
    }

    /// How many requests have been received.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    pub(super) fn body(&self) -> BodyState {
        match self.body.load(Relaxed) {
            0 => BodyState::Complete,
            1 => BodyState::Unread,
            2 => BodyState::Malformed,
            _ => BodyState::TimedOut,
        }
    }

    /// Whether a request is being answered, or its body received. When only the latter is so, `waker` is
    /// woken at its end, which the connection does not notice by itself.
    pub(super) fn busy(&self, waker: &Waker) -> bool {
        if self.responding.load(Relaxed) {
            return true;
        }
        if !self.receiving.load(Acquire) {
            return false;
        }
        self.received.register(waker);
        self.receiving.load(Acquire)
    }

    /// The response that is being made, or else the next one, is the last on this connection.
    pub(super) fn set_closing(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Where the current request ends is in doubt, so nothing after it may be taken for a request.
    pub(super) fn set_tainted(&self) {
        self.tainted.store(true, Relaxed);
        self.set_closing();
    }

    pub(super) fn tainted(&self) -> bool {
        self.tainted.load(Relaxed)
    }

    /// The response cannot be completed: the client must not take what it has for the whole.
    pub(super) fn set_broken(&self) {
        self.broken.store(true, Relaxed);
    }

    pub(super) fn broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// The current request wants another protocol, which is not offered.
    pub(super) fn set_upgrade(&self) {
        self.upgrade.store(true, Relaxed);
    }

    pub(super) fn upgrade(&self) -> bool {
        self.upgrade.load(Relaxed)
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Open(Arc<Progress>);

impl Open {
    pub(super) fn begin(progress: &Arc<Progress>) -> Self {
        progress.load.connection_opened();
        Self(progress.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.calls() == 0 {
            self.0.load.connection_used();
        }
        self.0.load.connection_closed();
    }
}

/// A request that is being answered: from the call of the service to the end of the response body.
#[derive(Debug)]
pub(super) struct Answering(Arc<Progress>);

impl Answering {
    pub(super) fn begin(progress: &Arc<Progress>) -> Self {
        let calls = progress.calls();
        if calls == 0 {
            progress.load.connection_used();
        }
        progress.calls.store(calls + 1, Relaxed);
        progress.load.request_began();
        progress.body.store(BodyState::Complete as u8, Relaxed);
        progress.responding.store(true, Relaxed);
        Self(progress.clone())
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.0
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.responding.store(false, Relaxed);
        self.0.load.request_ended();
    }
}

/// A request body that has not been received to its end.
#[derive(Debug)]
pub(super) struct Receiving(Arc<Progress>);

impl Receiving {
    pub(super) fn begin(progress: &Arc<Progress>) -> Self {
        progress.body.store(BodyState::Unread as u8, Relaxed);
        progress.receiving.store(true, Release);
        Self(progress.clone())
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.0
    }

    /// Nothing more of the body will be received, because of `state`.
    pub(super) fn end(self, state: BodyState) {
        self.0.body.store(state as u8, Relaxed);
        if state != BodyState::Complete {
            self.0.set_closing();
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.receiving.swap(false, AcqRel);
        self.0.received.wake();
    }
}
