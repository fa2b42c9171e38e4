use std::{fmt, sync::Arc};

use http::{Method, Request, StatusCode};

use super::page::Page;

const READY: Page = Page::report(StatusCode::OK, "ready");
const STOPPING: Page = Page::report(StatusCode::SERVICE_UNAVAILABLE, "stopping");

/// Answers load balancers that ask whether to send requests here.
#[derive(Clone)]
pub struct Readiness {
    path: Arc<str>,
    is_ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Readiness {
    /// At this path. `is_ready` is asked at each request for it.
    pub fn new(path: &str, is_ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            path: path.into(),
            is_ready: Arc::new(is_ready),
        }
    }

    /// The answer, if that is what the request asks for.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Page> {
        let asks = request.method() == Method::GET || request.method() == Method::HEAD;
        if !asks || request.uri().path() != &*self.path {
            return None;
        }
        Some(if (self.is_ready)() { READY } else { STOPPING })
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
