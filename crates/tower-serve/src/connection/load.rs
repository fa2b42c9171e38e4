//! How much a server has to do: the counters that its connections keep.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{sync::Notify, time::Instant};

use super::table::{ConnectionEntry, ConnectionTable};

/// Milliseconds between two warnings.
const WARN_AFTER: u64 = 60_000;

/// A surplus that is not counted down.
const ALL: usize = usize::MAX;

/// How much a server has to do: the counters that its connections keep.
///
/// Clones share the counters.
#[derive(Clone, Debug)]
pub struct Load(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    connections: AtomicUsize,
    /// Those of them that have not sent a request yet.
    fresh: AtomicUsize,
    /// Requests since the start, and those of them that are done with.
    began: AtomicU64,
    ended: AtomicU64,
    /// The number of requests at which `enough` is notified.
    limit: u64,
    enough: Notify,
    given_up: Notify,
    no_connections: Notify,
    /// Threads with jobs whose response is not waited for.
    lost: AtomicUsize,
    /// Connections that are to close with their next response.
    surplus: AtomicUsize,
    /// Requests that may be upgraded and have no response yet, and upgraded connections.
    upgrading: AtomicUsize,
    upgraded: AtomicUsize,
    upgraded_total: AtomicU64,
    /// When the next warning of the limit of upgrades is due, in milliseconds.
    next_warning: AtomicU64,
    began_at: Instant,
    table: ConnectionTable,
}

impl Load {
    /// Counters at zero. [`enough`](Self::enough) resolves after `limit` requests; 0 is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Counters {
            connections: AtomicUsize::new(0),
            fresh: AtomicUsize::new(0),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            limit,
            enough: Notify::new(),
            given_up: Notify::new(),
            no_connections: Notify::new(),
            lost: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            upgrading: AtomicUsize::new(0),
            upgraded: AtomicUsize::new(0),
            upgraded_total: AtomicU64::new(0),
            next_warning: AtomicU64::new(0),
            began_at: Instant::now(),
            table: ConnectionTable::default(),
        }))
    }

    /// The open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.load(Relaxed)
    }

    /// The requests since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.began.load(Relaxed)
    }

    /// The running requests: from the call of the service to the end of the response body.
    #[must_use]
    pub fn requests(&self) -> usize {
        // In this order: one that begins and ends in between is not counted twice.
        let ended = self.0.ended.load(Relaxed);
        usize::try_from(self.total().saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// The running requests, connections that have not sent their first request yet, and threads that are lost.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.requests() + self.0.fresh.load(Relaxed) + self.lost()
    }

    /// The upgraded connections that are open. Their requests have ended with the response 101.
    #[must_use]
    pub fn upgraded(&self) -> usize {
        self.0.upgraded.load(Relaxed)
    }

    /// The connections that were upgraded since the start.
    #[must_use]
    pub fn upgraded_total(&self) -> u64 {
        self.0.upgraded_total.load(Relaxed)
    }

    /// A permit for a request that may be upgraded, if less than `max` are given out. Otherwise it warns, once a minute.
    pub(super) fn try_upgrade(&self, max: usize) -> Option<UpgradePermit> {
        let one_more = |now: usize| (now < max).then_some(now + 1);
        let upgrading = &self.0.upgrading;
        if upgrading.fetch_update(Relaxed, Relaxed, one_more).is_err() {
            let now = self.millis(Instant::now());
            let is_due = |next: u64| (next <= now).then_some(now + WARN_AFTER);
            if self
                .0
                .next_warning
                .fetch_update(Relaxed, Relaxed, is_due)
                .is_ok()
            {
                tracing::warn!(
                    max_upgraded = max,
                    "max_upgraded reached; requests for an upgrade get 503 until a connection ends"
                );
            }
            return None;
        }
        Some(UpgradePermit {
            load: self.clone(),
            is_upgraded: false,
        })
    }

    /// Waits until the limit of requests is reached; once.
    pub async fn enough(&self) {
        self.0.enough.notified().await;
    }

    /// Waits until no connection is open.
    pub(crate) async fn no_connections(&self) {
        loop {
            let mut closed = pin!(self.0.no_connections.notified());
            // Before the look, so that it misses none.
            closed.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// Waits until the service has not responded in time to a request.
    pub async fn given_up(&self) {
        self.0.given_up.notified().await;
    }

    /// Sets the number of threads with jobs whose response is not waited for. Returns whether it was lower before.
    #[must_use]
    pub fn set_lost(&self, threads: usize) -> bool {
        self.0.lost.swap(threads, Relaxed) < threads
    }

    /// The number of threads with jobs whose response is not waited for.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.0.lost.load(Relaxed)
    }

    /// From now on, this number of connections are to close with their next response.
    pub fn shed(&self, connections: usize) {
        let change = |now| (now != ALL).then_some(connections);
        // All are more than some.
        let _ = self.0.surplus.fetch_update(Relaxed, Relaxed, change);
    }

    /// From now on, every connection is to close with its next response.
    pub fn shed_all(&self) {
        self.0.surplus.store(ALL, Relaxed);
    }

    /// Whether connections are to close.
    pub(super) fn has_surplus(&self) -> bool {
        self.0.surplus.load(Relaxed) != 0
    }

    /// Whether the connection that asks is one of those that are to close.
    pub(super) fn take_surplus(&self) -> bool {
        let surplus = &self.0.surplus;
        let take = |left| match left {
            ALL => Some(ALL),
            left => left.checked_sub(1),
        };
        surplus.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// The same for a connection of HTTP/2 with this number of running requests, which move with it. It stays if most of the
    /// worker's requests are its own: another worker would only be overloaded in place of this one.
    pub(super) fn take_surplus_of(&self, requests: usize) -> bool {
        let total = self.requests();
        let take = |left| match left {
            ALL => Some(ALL),
            0 => None,
            left if requests.saturating_mul(2) <= total => Some(left.saturating_sub(requests)),
            _ => None,
        };
        let surplus = &self.0.surplus;
        surplus.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// Makes room for new connections: closes up to `places` idle ones, and returns how many. If none is idle, the next
    /// response is the last on its connection.
    #[must_use]
    pub fn make_room(&self, places: usize) -> usize {
        let closed = self.0.table.close_idle(places, self.millis(Instant::now()));
        if closed == 0 && !self.has_surplus() {
            self.shed(1);
        }
        closed
    }

    /// The age of the worker at that time, in milliseconds.
    pub(super) fn millis(&self, at: Instant) -> u64 {
        let age = at.saturating_duration_since(self.0.began_at);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }

    /// The service has not responded in time.
    pub(super) fn request_given_up(&self) {
        self.0.given_up.notify_one();
    }

    /// A connection was opened, and has yet to send its first request.
    pub(super) fn connection_opened(&self, entry: &Arc<ConnectionEntry>) {
        self.0.connections.fetch_add(1, Relaxed);
        self.0.fresh.fetch_add(1, Relaxed);
        self.0.table.add(entry);
    }

    /// A connection has sent its first request, or is closed without.
    pub(super) fn connection_used(&self) {
        self.0.fresh.fetch_sub(1, Relaxed);
    }

    /// A connection was closed.
    pub(super) fn connection_closed(&self) {
        if self.0.connections.fetch_sub(1, Relaxed) == 1 {
            self.0.no_connections.notify_waiters();
        }
    }

    /// A request has come.
    pub fn request_began(&self) {
        if self.0.began.fetch_add(1, Relaxed) + 1 == self.0.limit {
            self.0.enough.notify_one();
        }
    }

    /// Its response was sent, or will not be.
    pub(super) fn request_ended(&self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

/// The permit of a request that may be upgraded, and of the connection if it is.
#[derive(Debug)]
pub(super) struct UpgradePermit {
    load: Load,
    is_upgraded: bool,
}

impl UpgradePermit {
    /// The connection is upgraded.
    pub(super) fn set_upgraded(&mut self) {
        if !std::mem::replace(&mut self.is_upgraded, true) {
            self.load.0.upgraded.fetch_add(1, Relaxed);
            self.load.0.upgraded_total.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for UpgradePermit {
    fn drop(&mut self) {
        self.load.0.upgrading.fetch_sub(1, Relaxed);
        if self.is_upgraded {
            self.load.0.upgraded.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

    #[test]
    fn a_surplus_is_counted_down() {
        let load = Load::new(0);
        assert!(!load.has_surplus() && !load.take_surplus());
        load.shed(2);
        assert!(load.has_surplus() && load.take_surplus() && load.take_surplus());
        assert!(!load.has_surplus() && !load.take_surplus());
        load.shed(2);
        load.shed(0);
        assert!(!load.take_surplus());
        load.shed_all();
        load.shed(0);
        assert!(load.take_surplus() && load.take_surplus());
    }

    #[test]
    fn a_connection_with_many_requests_takes_as_many_of_a_surplus() {
        let load = Load::new(0);
        let begin = |requests| (0..requests).for_each(|_| load.request_began());
        begin(10);
        load.shed(6);
        assert!(!load.take_surplus_of(10), "they are all its own");
        begin(9);
        assert!(!load.take_surplus_of(10), "they are most");
        begin(1);
        assert!(load.take_surplus_of(4) && load.has_surplus());
        assert!(load.take_surplus_of(10) && !load.has_surplus());
        assert!(!load.take_surplus_of(1));
        load.shed_all();
        assert!(load.take_surplus_of(20));
    }

    #[test]
    fn enough_is_said_once_at_the_limit() {
        let load = Load::new(2);
        let mut enough = spawn(load.enough());
        load.request_began();
        load.request_ended();
        assert_pending!(enough.poll());
        load.request_began();
        assert_ready!(enough.poll());
        load.request_began();
        assert_pending!(spawn(load.enough()).poll());
        assert_eq!((load.total(), load.requests()), (3, 2));
    }
}
