//! The layer and its settings.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, Version, header::CONNECTION};
use tower_layer::Layer;

use super::WaitForBody;
use crate::{Body, BoxError, Rejection, budget::Budget, on_rejection::OnRejection};

/// Waits for the whole request body. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct WaitForBodyLayer {
    pub(super) settings: BodySettings,
}

#[derive(Clone, Debug)]
pub(super) struct BodySettings {
    pub(super) limit: u64,
    pub(super) timeout: Duration,
    pub(super) memory_threshold: usize,
    pub(super) budget: Arc<Budget>,
    pub(super) disk_budget: Arc<Budget>,
    on_rejection: OnRejection,
}

impl WaitForBodyLayer {
    /// Waits for bodies of at most `limit` bytes. A larger one gets 413.
    ///
    /// The limit has no default, since only the application knows it.
    pub fn new(limit: u64) -> Self {
        Self {
            settings: BodySettings {
                limit,
                timeout: Duration::from_secs(60),
                memory_threshold: 1 << 20,
                budget: Budget::new(64 << 20),
                disk_budget: Budget::new(4 << 30),
                on_rejection: OnRejection::default(),
            },
        }
    }

    /// The maximum time from the call to the last byte of the body, 60 seconds by default. After it the client gets 408.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The maximum size in bytes of a body that stays in memory, 1 MiB by default. A larger one is written to a temporary
    /// file.
    pub fn memory_threshold(mut self, bytes: usize) -> Self {
        self.settings.memory_threshold = bytes;
        self
    }

    /// The memory in bytes for all bodies of this layer and its clones together, 64 MiB by default. Beyond it every body is
    /// written to a temporary file, with 64 KiB of memory while it is written.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.settings.budget = Budget::new(bytes);
        self
    }

    /// The disk space in bytes for all bodies of this layer and its clones together, 4 GiB by default. Beyond it a body that
    /// does not fit in memory gets 503, before it is read if its `Content-Length` exceeds what remains.
    pub fn disk_budget(mut self, bytes: usize) -> Self {
        self.settings.disk_budget = Budget::new(bytes);
        self
    }

    /// The function that makes the response when the layer refuses a request, by default
    /// [`Rejection::into_response`].
    ///
    /// The layer adds `Connection: close` to it, since the rest of the request body is not read.
    ///
    /// ```
    /// use http::Response;
    /// use tower_blocking::{Body, Rejection, wait_for_body::WaitForBodyLayer};
    ///
    /// let layer = WaitForBodyLayer::new(1 << 20).on_rejection(|rejection: Rejection| {
    ///     let mut response = Response::new(Body::from("Please send less."));
    ///     *response.status_mut() = rejection.status();
    ///     response
    /// });
    /// ```
    pub fn on_rejection<F, B>(mut self, respond: F) -> Self
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.settings.on_rejection = OnRejection::new(respond);
        self
    }
}

impl BodySettings {
    /// The response to a request of which the rest is not read, so that the connection cannot be used again.
    pub(super) fn reject(&self, rejection: Rejection, version: Version) -> Response<Body> {
        let mut response = self.on_rejection.respond(rejection);
        if version <= Version::HTTP_11 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }

    /// Whether there is space for a body of this length at present.
    pub(super) fn has_space(&self, length: u64) -> bool {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        length <= self.memory_threshold || self.disk_budget.has(length)
    }
}

impl<S> Layer<S> for WaitForBodyLayer {
    type Service = WaitForBody<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WaitForBody {
            inner,
            settings: Arc::new(self.settings.clone()),
        }
    }
}
