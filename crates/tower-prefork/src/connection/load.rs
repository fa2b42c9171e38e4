use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How much a worker has to do: counters that its connections keep.
///
/// Clones share the counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicUsize,
    requests: AtomicUsize,
    fresh: AtomicUsize,
}

impl Load {
    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Relaxed)
    }

    /// Requests that are running: from the call of the service to the end of the response body.
    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Relaxed)
    }

    /// Running requests, and connections that have not sent their first request yet.
    pub(crate) fn busy(&self) -> usize {
        self.requests() + self.0.fresh.load(Relaxed)
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

    pub(super) fn request_began(&self) {
        self.0.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn request_ended(&self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}
