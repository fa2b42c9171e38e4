//! The readiness path, which load balancers ask.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

/// Responds to load balancers that ask whether to send requests here.
#[derive(Clone)]
pub(crate) struct Readiness {
    path: Arc<str>,
    is_ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The state of the server, for a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadinessReport {
    Ready,
    Stopping,
}

impl Readiness {
    /// At this path. `is_ready` is called at each request for it.
    pub(crate) fn new(path: &str, is_ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            path: path.into(),
            is_ready: Arc::new(is_ready),
        }
    }

    /// The report, if that is what the request asks for.
    pub(super) fn report<B>(&self, request: &Request<B>) -> Option<ReadinessReport> {
        let asks = request.method() == Method::GET || request.method() == Method::HEAD;
        if !asks || request.uri().path() != &*self.path {
            return None;
        }
        Some(if (self.is_ready)() {
            ReadinessReport::Ready
        } else {
            ReadinessReport::Stopping
        })
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ReadinessReport {
    pub(super) fn render(self) -> Response<Bytes> {
        let (status, text) = match self {
            Self::Ready => (StatusCode::OK, "ready\n"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        };
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = status;
        for (name, value) in [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
