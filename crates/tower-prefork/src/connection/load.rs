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
}
