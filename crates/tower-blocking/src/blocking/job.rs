//! A job: the work of one request, and its place in the queue.

use std::{any::type_name, time::Duration};

use http::{Method, Request, uri::PathAndQuery};
use tower_server_info::{ClientInput, ConnectInfo};

use super::{BlockingPool, entries::RunningSlot};
use crate::rejection::Rejection;

/// The work of a job, or what it does instead when it is refused.
pub(super) type Work = Box<dyn FnOnce(Result<(), Rejection>) + Send>;

/// Work that waits for a thread.
pub(super) struct Job {
    pub(super) request: RequestInfo,
    pub(super) work: Work,
}

impl Job {
    /// Must not be called under the lock.
    pub(super) fn refuse(self, rejection: Rejection) {
        (self.work)(Err(rejection));
    }
}

/// A job that a thread has taken.
pub(super) struct StartedJob {
    pub(super) slot: RunningSlot,
    pub(super) work: Work,
    /// Whether the thread runs the work, or refuses it.
    pub(super) admission: Result<(), Rejection>,
    /// How long it has waited, if that was limited.
    pub(super) waited: Duration,
}

/// The request that a job is for.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestInfo {
    pub(super) method: Method,
    target: JobTarget,
    /// If the server provides it.
    client: Option<ClientInput>,
}

/// What a job is for. As large as a path alone, since jobs are moved.
#[derive(Clone, Debug)]
enum JobTarget {
    Path(PathAndQuery),
    /// The name of the function of a job that is for no request.
    Function(&'static str),
}

impl Default for JobTarget {
    fn default() -> Self {
        Self::Function("")
    }
}

impl RequestInfo {
    /// Copies no text.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let connection = request.extensions().get::<ConnectInfo>();
        Self {
            method: request.method().clone(),
            target: match request.uri().path_and_query() {
                Some(target) => JobTarget::Path(target.clone()),
                None => JobTarget::default(),
            },
            client: connection.map(|connection| connection.input().clone()),
        }
    }

    /// A job that is for no request is known by the name of its function.
    pub(super) fn of_function<F>() -> Self {
        Self {
            target: JobTarget::Function(type_name::<F>()),
            ..Self::default()
        }
    }

    /// Whether the client has closed its sending side, so that it may have left.
    pub(super) fn client_closed_input(&self) -> bool {
        self.client.as_ref().is_some_and(ClientInput::is_closed)
    }

    /// Whether the server says when the client closes its sending side.
    pub(super) fn has_client_input(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn path(&self) -> &str {
        match &self.target {
            JobTarget::Path(target) => target.path(),
            JobTarget::Function(name) => name,
        }
    }
}

/// The interest of a task in its job. Dropped before the job is done, it takes the job out of the queue, or marks it as
/// abandoned if it runs.
pub(super) struct Ticket {
    pool: BlockingPool,
    id: u64,
    is_done: bool,
}

impl Ticket {
    pub(super) fn new(pool: &BlockingPool, id: u64) -> Self {
        Self {
            pool: pool.clone(),
            id,
            is_done: false,
        }
    }

    /// The response of the job has arrived.
    pub(super) fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let shared = self.pool.shared();
        let mut queue = shared.queue();
        let cancelled = queue.cancel(self.id);
        if cancelled.is_none() {
            queue.abandon(self.id);
        }
        let idle = queue.is_idle();
        // The job is dropped without the lock.
        drop(queue);
        drop(cancelled);
        if idle {
            shared.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_no_larger_than_a_path() {
        assert_eq!(size_of::<JobTarget>(), size_of::<Option<PathAndQuery>>());
    }
}
