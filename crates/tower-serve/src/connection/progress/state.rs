use std::{
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{runtime::Handle, time::Instant};
use tower_server_info::ClientInput;

use super::{Awaits, BodyState, Due, Idle, LastRecord, Recent, turn::Turn};
use crate::connection::Load;

/// With more connections, what one keeps has left the processor's caches by its next turn.
const MANY: usize = 256;

/// The state of one connection, as its socket, its service and its bodies report it.
///
/// A request body may be read on another thread than the connection's, so all of it is atomic.
#[derive(Debug)]
pub(in crate::connection) struct Progress {
    pub(super) load: Load,
    runtime: Handle,
    body_timeout: Duration,

    /// Bytes read, those of empty lines between two requests left out.
    read: AtomicU64,
    written: AtomicU64,
    /// There is something to write, and the socket does not take it.
    blocked: AtomicBool,
    turn: Turn,
    /// What the client sends.
    input: ClientInput,
    recent: Recent,
    /// Nothing of a response is left to be sent.
    quiet: AtomicBool,
    /// hyper has refused a request, and its response was not sent.
    refused: AtomicBool,

    pub(super) calls: AtomicU64,
    /// Responses that hyper has not done with. There are two when it reads a request while it holds on to the
    /// body before.
    pub(super) responding: AtomicUsize,
    /// Bodies that nobody has seen the end of. There are two when a request follows while the body before it,
    /// which hyper has received, is still in the hands of the service.
    pub(super) receiving: AtomicUsize,
    pub(super) received: AtomicWaker,
    pub(super) body: AtomicU8,

    due: Due,
    idle: Idle,

    closing: AtomicBool,
    pub(super) tainted: AtomicBool,
    broken: AtomicBool,
    old: AtomicBool,
    upgrade: AtomicBool,
    /// The client wants no more of the connection.
    leaving: AtomicBool,
    /// The client may want more of the connection, which another worker is to have.
    shed: AtomicBool,

    /// For the access log.
    last_record: LastRecord,
}

impl Progress {
    pub(in crate::connection) fn new(
        input: ClientInput,
        load: Load,
        body_timeout: Duration,
    ) -> Self {
        let idle = Idle::new(load.millis(Instant::now()));
        Self {
            load,
            runtime: Handle::current(),
            body_timeout,
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            turn: Turn::new(),
            input,
            recent: Recent::default(),
            quiet: AtomicBool::new(true),
            refused: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            responding: AtomicUsize::new(0),
            receiving: AtomicUsize::new(0),
            received: AtomicWaker::new(),
            body: AtomicU8::new(BodyState::Complete as u8),
            due: Due::new(),
            idle,
            closing: AtomicBool::new(false),
            tainted: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            old: AtomicBool::new(false),
            upgrade: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            shed: AtomicBool::new(false),
            last_record: LastRecord::default(),
        }
    }

    /// The event loop that the connection runs on.
    pub(in crate::connection) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(in crate::connection) fn body_timeout(&self) -> Duration {
        self.body_timeout
    }

    pub(in crate::connection) fn add_read(&self, bytes: usize) {
        self.turn.read();
        // One thread writes the counters of the socket, so they need no read-modify-write.
        self.read
            .store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// The event loop has come to this connection.
    pub(in crate::connection) fn begin_turn(&self) {
        self.turn.begin();
    }

    /// Puts off what is to be written to the next turn, if it may answer what was read in this one, and there are
    /// other connections, and not too many. Of a response that still goes on, what is there might get lost with
    /// an error.
    pub(in crate::connection) fn postpone(&self) -> bool {
        let is_whole = self.responding.load(Relaxed) == 0;
        let others = (2..=MANY).contains(&self.load.connections());
        is_whole && others && self.turn.postpone()
    }

    /// Whether there is something to write, and the event loop comes again at once.
    pub(in crate::connection) fn is_postponed(&self) -> bool {
        self.turn.is_postponed()
    }

    pub(in crate::connection) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(in crate::connection) fn add_written(&self, bytes: usize) {
        self.written
            .store(self.written.load(Relaxed) + bytes as u64, Relaxed);
        self.blocked.store(false, Relaxed);
    }

    pub(in crate::connection) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    pub(in crate::connection) fn set_blocked(&self) {
        self.blocked.store(true, Relaxed);
    }

    pub(in crate::connection) fn blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// Whether the client waits for the rest of a response.
    pub(in crate::connection) fn has_more_to_write(&self) -> bool {
        self.blocked() || self.is_postponed() || self.responding.load(Relaxed) != 0
    }

    pub(in crate::connection) fn set_eof(&self) {
        self.input.close();
    }

    /// Whether the client sends nothing any more.
    pub(in crate::connection) fn eof(&self) -> bool {
        self.input.is_closed()
    }

    pub(in crate::connection) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// There will be a response.
    pub(super) fn set_loud(&self) {
        self.quiet.store(false, Relaxed);
    }

    /// All that hyper had to write was written.
    pub(in crate::connection) fn set_flushed(&self) {
        if self.responding.load(Relaxed) == 0 {
            self.quiet.store(true, Relaxed);
        }
    }

    /// Whether what hyper writes now is its own: a refusal.
    pub(in crate::connection) fn is_quiet(&self) -> bool {
        self.quiet.load(Relaxed)
    }

    pub(in crate::connection) fn set_refused(&self) {
        self.refused.store(true, Relaxed);
    }

    /// Whether a request was refused that has yet to be answered.
    pub(in crate::connection) fn take_refused(&self) -> bool {
        self.refused.swap(false, Relaxed)
    }

    /// How many requests have been received.
    pub(in crate::connection) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Whether a request is being answered, or its body received. When only the latter is so, `waker` is
    /// woken at its end, which the connection does not notice by itself.
    pub(in crate::connection) fn busy(&self, waker: &Waker) -> bool {
        if self.responding.load(Relaxed) != 0 {
            return true;
        }
        if self.receiving.load(Acquire) == 0 {
            return false;
        }
        self.received.register(waker);
        self.receiving.load(Acquire) != 0
    }

    /// How long the answer to a request takes.
    pub(in crate::connection) fn due(&self) -> &Due {
        &self.due
    }

    /// From now on the connection waits for its client.
    pub(in crate::connection) fn note_idle(&self, awaits: Awaits) {
        self.note_idle_at(awaits, self.load.millis(Instant::now()));
    }

    pub(in crate::connection) fn note_idle_at(&self, awaits: Awaits, now: u64) {
        self.idle.note(awaits, now, self.calls());
    }

    /// What the connection waits for, and since when in the worker's life, if it serves no request.
    pub(in crate::connection) fn idle_since(&self) -> Option<(Awaits, u64)> {
        self.idle.noted(self.calls())
    }

    /// Asks the connection to make room, if it is idle. Whether it was not asked before.
    pub(in crate::connection) fn give_up(&self) -> bool {
        self.idle.give_up()
    }

    pub(in crate::connection) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(in crate::connection) fn last_record(&self) -> &LastRecord {
        &self.last_record
    }

    /// The response that is being made, or else the next one, is the last on this connection.
    pub(in crate::connection) fn set_closing(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(in crate::connection) fn closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Where the last request ends is in doubt, so nothing after it may be taken for a request.
    pub(in crate::connection) fn tainted(&self) -> bool {
        self.tainted.load(Relaxed)
    }

    /// The client must not take what it has of the response for the whole: the connection is reset.
    pub(in crate::connection) fn set_broken(&self) {
        self.broken.store(true, Relaxed);
    }

    /// The response cannot be completed. Without a reset a client of HTTP/1.0 would take it for whole;
    /// others see that its end is missing, and a reset could destroy what they already have.
    pub(in crate::connection) fn set_failed(&self) {
        if self.old.load(Relaxed) {
            self.set_broken();
        }
    }

    /// Whether the request came with HTTP/1.0.
    pub(in crate::connection) fn set_old(&self, old: bool) {
        self.old.store(old, Relaxed);
    }

    pub(in crate::connection) fn old(&self) -> bool {
        self.old.load(Relaxed)
    }

    pub(in crate::connection) fn broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// A request wants another protocol, which is not offered.
    pub(in crate::connection) fn set_upgrade(&self) {
        self.upgrade.store(true, Relaxed);
    }

    /// Whether one did, since this was asked before.
    pub(in crate::connection) fn take_upgrade(&self) -> bool {
        self.upgrade.swap(false, Relaxed)
    }

    /// Whether the worker is to have fewer connections.
    pub(in crate::connection) fn has_surplus(&self) -> bool {
        self.load.has_surplus()
    }

    pub(in crate::connection) fn set_leaving(&self, leaving: bool) {
        self.leaving.store(leaving, Relaxed);
    }

    /// Whether the connection, which would be kept otherwise, is to be closed for the worker to have fewer.
    pub(in crate::connection) fn take_surplus(&self) -> bool {
        let stays = || !self.old.load(Relaxed) && !self.leaving.load(Relaxed);
        let shed = stays() && self.load.take_surplus();
        if shed {
            self.shed.store(true, Relaxed);
        }
        shed
    }

    /// Whether it is.
    pub(in crate::connection) fn shed(&self) -> bool {
        self.shed.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::connection::progress::Open;

    #[tokio::test]
    async fn what_is_written_is_put_off_among_some_connections_and_not_alone_or_among_many() {
        let load = Load::new(u64::MAX);
        for (connections, postpones) in [(1, false), (2, true), (MANY, true), (MANY + 1, false)] {
            let progress = || {
                Arc::new(Progress::new(
                    ClientInput::new(),
                    load.clone(),
                    Duration::ZERO,
                ))
            };
            let open: Vec<_> = (0..connections).map(|_| Open::begin(&progress())).collect();
            let progress = progress();
            progress.begin_turn();
            progress.add_read(1);
            assert_eq!(progress.postpone(), postpones, "{connections}");
            drop(open);
        }
    }
}
