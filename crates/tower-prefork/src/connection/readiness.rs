use std::sync::Arc;

use http::{Method, Request, StatusCode};
use tokio::sync::watch;

use super::page::Page;
use crate::Phase;

const READY: Page = Page::report(StatusCode::OK, "ready");
const STOPPING: Page = Page::report(StatusCode::SERVICE_UNAVAILABLE, "stopping");

/// Answers load balancers that ask whether to send requests here.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    path: Arc<str>,
    phase: watch::Receiver<Phase>,
}

impl Readiness {
    /// At this path, and for a worker that is in this phase.
    pub(crate) fn new(path: &str, phase: watch::Receiver<Phase>) -> Self {
        let path = path.into();
        Self { path, phase }
    }

    /// The answer, if that is what the request asks for.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Page> {
        let asks = request.method() == Method::GET || request.method() == Method::HEAD;
        if !asks || request.uri().path() != &*self.path {
            return None;
        }
        Some(match *self.phase.borrow() {
            Phase::Ready | Phase::Reloading => READY,
            _ => STOPPING,
        })
    }
}
