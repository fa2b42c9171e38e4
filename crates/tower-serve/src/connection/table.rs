//! The open connections of a worker: when their table is full, idle ones are closed for new ones.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

/// Milliseconds for which a connection that has not been served yet is kept: its request may be on its way. One that
/// was served is listed as idle a second after its last response.
const KEPT_UNSERVED: u64 = 2000;

/// What a connection waits for while it serves no request, in the order in which idle connections are closed for new
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum WaitsFor {
    /// The next request of a client that was served before.
    NextRequest,
    /// The first request; nothing of it has come.
    FirstRequest,
    /// The rest of a TLS handshake.
    Handshake,
    /// The rest of a request head.
    RestOfHead,
    /// Nothing: the connection serves a request, or is closing.
    Nothing,
}

const ALL: [WaitsFor; 5] = [
    WaitsFor::NextRequest,
    WaitsFor::FirstRequest,
    WaitsFor::Handshake,
    WaitsFor::RestOfHead,
    WaitsFor::Nothing,
];

/// What the table of the worker knows of a connection, and asks of it: all that other tasks see of the connection's
/// state.
#[derive(Debug)]
pub(super) struct ConnectionEntry {
    waits_for: AtomicU8,
    /// In milliseconds of the worker's life.
    since: AtomicU64,
    /// The connection is to close, if it is still idle.
    close_requested: AtomicBool,
    waker: AtomicWaker,
}

impl ConnectionEntry {
    /// That of a new connection.
    pub(super) fn new(now: u64) -> Self {
        Self {
            waits_for: AtomicU8::new(WaitsFor::FirstRequest as u8),
            since: AtomicU64::new(now),
            close_requested: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// From `now` on, the connection waits for its client.
    pub(super) fn set_waiting(&self, waits_for: WaitsFor, now: u64) {
        self.since.store(now, Relaxed);
        self.waits_for.store(waits_for as u8, Relaxed);
    }

    /// The connection waits for nothing: it serves a request, or closes.
    pub(super) fn set_busy(&self) {
        self.waits_for.store(WaitsFor::Nothing as u8, Relaxed);
    }

    /// The task to wake when the connection is to close.
    pub(super) fn set_waker(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether the table has asked the connection to close since this was called last.
    pub(super) fn take_close_request(&self) -> bool {
        let requested = self.close_requested.load(Relaxed);
        if requested {
            self.close_requested.store(false, Relaxed);
        }
        requested
    }

    fn idle_since(&self) -> Option<(WaitsFor, u64)> {
        let waits_for = *ALL.get(usize::from(self.waits_for.load(Relaxed)))?;
        (waits_for != WaitsFor::Nothing).then(|| (waits_for, self.since.load(Relaxed)))
    }

    /// Asks the connection to close, unless it has stopped being idle. Returns whether it was not asked before.
    fn request_close(&self) -> bool {
        let is_first = !self.close_requested.swap(true, AcqRel);
        self.waker.wake();
        is_first
    }
}

/// The connections of a worker; those that have ended are removed from time to time.
#[derive(Debug, Default)]
pub(super) struct ConnectionTable(Mutex<Vec<Weak<ConnectionEntry>>>);

impl ConnectionTable {
    pub(super) fn add(&self, entry: &Arc<ConnectionEntry>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == entries.capacity() {
            entries.retain(|entry| entry.strong_count() > 0);
            // As many again, so that ended connections are seldom searched for.
            let room = entries.len().max(16);
            entries.reserve(room);
        }
        entries.push(Arc::downgrade(entry));
    }

    /// Closes up to `count` idle connections: first those that wait for their next request, then those that have yet to
    /// send one, then those in a handshake, then those with a part of a head; of each kind the ones that have been idle
    /// longest. Returns how many it has closed.
    pub(super) fn close_idle(&self, count: usize, now: u64) -> usize {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = Vec::new();
        entries.retain(|entry| {
            let Some(entry) = entry.upgrade() else {
                return false;
            };
            if let Some((waits_for, since)) = entry.idle_since()
                && (waits_for == WaitsFor::NextRequest
                    || now.saturating_sub(since) >= KEPT_UNSERVED)
            {
                idle.push((waits_for, since, entry));
            }
            true
        });
        drop(entries);
        idle.sort_unstable_by_key(|(waits_for, since, _): &(WaitsFor, u64, _)| {
            (*waits_for, *since)
        });
        idle.iter()
            .filter(|(_, _, entry)| entry.request_close())
            .take(count)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_served_and_is_idle_longest_goes_first() {
        let table = ConnectionTable::default();
        let connect = |waits_for, since| {
            let entry = Arc::new(ConnectionEntry::new(0));
            entry.set_waiting(waits_for, since);
            table.add(&entry);
            entry
        };
        let is_asked = |entry: &ConnectionEntry| entry.close_requested.load(Relaxed);
        let head = connect(WaitsFor::RestOfHead, 0);
        let handshake = connect(WaitsFor::Handshake, 1);
        let silent = connect(WaitsFor::FirstRequest, 2);
        let closing = connect(WaitsFor::Nothing, 0);
        let new = connect(WaitsFor::FirstRequest, 5000);
        let late = connect(WaitsFor::NextRequest, 4);
        let early = connect(WaitsFor::NextRequest, 3);
        let gone = connect(WaitsFor::NextRequest, 0);
        drop(gone);
        let all = [&early, &late, &silent, &handshake, &head];
        for (index, next) in all.iter().enumerate() {
            assert!(!is_asked(next), "{index}");
            assert_eq!(table.close_idle(1, 6999), 1);
            assert!(is_asked(next), "{index}");
        }
        assert_eq!(table.close_idle(9, 6999), 0, "they are asked once");
        assert!(!is_asked(&new) && !is_asked(&closing));
        assert_eq!(table.close_idle(9, 7000), 1);
        assert!(new.take_close_request() && !new.take_close_request());
    }

    #[test]
    fn a_connection_that_serves_a_request_is_not_idle() {
        let table = ConnectionTable::default();
        let entry = Arc::new(ConnectionEntry::new(0));
        table.add(&entry);
        entry.set_busy();
        assert_eq!(table.close_idle(1, 9999), 0);
        entry.set_waiting(WaitsFor::NextRequest, 9000);
        assert_eq!(table.close_idle(1, 9999), 1);
    }

    #[test]
    fn those_that_have_ended_take_no_room() {
        let table = ConnectionTable::default();
        for _ in 0..10_000 {
            table.add(&Arc::new(ConnectionEntry::new(0)));
        }
        assert!(table.0.lock().unwrap().len() < 100);
    }
}
