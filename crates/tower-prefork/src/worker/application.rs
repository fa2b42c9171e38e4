use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::sync::watch;

use super::{WorkerContext, serve::serve, stop::Drain};
use crate::{control::Socket, listener::Listener, stop_request::StopRequest};
use tower_serve::{BoxError, HttpService, Load};

/// Builds a service and serves it; the types of the service are forgotten here.
pub(crate) struct Application(Box<dyn FnOnce(Job) -> Served>);

type Served = Pin<Box<dyn Future<Output = Result<usize, BoxError>>>>;

/// What an application is to do in this process.
pub(super) struct Job {
    pub(super) worker: WorkerContext,
    pub(super) listeners: Vec<Listener>,
    /// If there is one.
    pub(super) supervisor: Option<Arc<Socket>>,
    /// Called when the service is built, before the first connection is accepted.
    pub(super) ready: Box<dyn FnOnce(Load)>,
    /// Set when it is to drain.
    pub(super) stop: watch::Receiver<Option<Drain>>,
    /// What the program asks the supervisor for.
    pub(super) stop_request: StopRequest,
}

impl Application {
    pub(crate) fn new<M, F, S, E>(make: M) -> Self
    where
        M: FnOnce(WorkerContext) -> F + 'static,
        F: Future<Output = Result<S, E>> + 'static,
        E: Into<BoxError> + 'static,
        S: HttpService,
    {
        Self(Box::new(|job| Box::pin(serve(make, job))))
    }

    /// Serves until it has drained. Gives the number of requests that did not finish in time.
    pub(super) async fn serve(self, job: Job) -> Result<usize, BoxError> {
        (self.0)(job).await
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").finish_non_exhaustive()
    }
}
