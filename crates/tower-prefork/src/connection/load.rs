use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// How much a worker has to do: counters that its connections keep.
///
/// Clones share the counters.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    connections: AtomicUsize,
    fresh: AtomicUsize,
    /// Requests since the start, and those of them that are done with.
    began: AtomicU64,
    ended: AtomicU64,
    /// So many requests are enough.
    limit: u64,
    enough: Notify,
    held_back: AtomicBool,
}

impl Load {
    /// Nothing yet, and [`enough`](Self::enough) after so many requests.
    pub(crate) fn new(limit: u64) -> Self {
        Self(Arc::new(Counters {
            connections: AtomicUsize::new(0),
            fresh: AtomicUsize::new(0),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            limit,
            enough: Notify::new(),
            held_back: AtomicBool::new(false),
        }))
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Relaxed)
    }

    /// Requests since the start.
    pub(crate) fn total(&self) -> u64 {
        self.0.began.load(Relaxed)
    }

    /// Requests that are running: from the call of the service to the end of the response body.
    pub(crate) fn requests(&self) -> usize {
        // In this order: one that begins and ends in between is not counted twice.
        let ended = self.0.ended.load(Relaxed);
        usize::try_from(self.total().saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// Running requests, and connections that have not sent their first request yet.
    pub(crate) fn busy(&self) -> usize {
        self.requests() + self.0.fresh.load(Relaxed)
    }

    /// Waits until there were so many requests as the limit says, once.
    pub(crate) async fn enough(&self) {
        self.0.enough.notified().await;
    }

    /// From now on the siblings are to have what they can take.
    pub(crate) fn hold_back(&self) {
        self.0.held_back.store(true, Relaxed);
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.0.held_back.load(Relaxed)
    }

    /// A connection was opened, and has yet to send its first request.
    pub(super) fn connection_opened(&self) {
        self.0.connections.fetch_add(1, Relaxed);
        self.0.fresh.fetch_add(1, Relaxed);
    }

    /// A connection has sent its first request, or is closed without.
    pub(super) fn connection_used(&self) {
        self.0.fresh.fetch_sub(1, Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }

    pub(crate) fn request_began(&self) {
        if self.0.began.fetch_add(1, Relaxed) + 1 == self.0.limit {
            self.0.enough.notify_one();
        }
    }

    pub(super) fn request_ended(&self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

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
