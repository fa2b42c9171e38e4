//! The layers of a worker, in their order: [`Layers`].

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_serve::{BoxError, HttpService, RequestBody};
use tower_service::Service;

use super::{
    boxed::{BoxedResponse, BoxedService, LayeredBody, boxed_service},
    compression::Compression,
    static_files::Mounts,
};
use crate::config::Config;

/// The layers that the settings of a worker ask for.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Layers {
    files: Option<Arc<Mounts>>,
    compression: Option<Compression>,
}

impl Layers {
    /// `None` without any.
    pub(in crate::worker) fn of(config: &Config) -> Option<Self> {
        let files = &config.static_files;
        let layers = Self {
            files: (!files.is_empty()).then(|| Arc::new(Mounts::of(config))),
            compression: config.compress.then(|| Compression::of(config)),
        };
        (layers.files.is_some() || layers.compression.is_some()).then_some(layers)
    }

    /// Puts the layers around the service.
    pub(in crate::worker) fn around<S: HttpService>(self, service: S) -> LayeredService {
        let service = boxed_service(service);
        let inner = match self.compression {
            Some(compression) => compression.around(service),
            None => service,
        };
        LayeredService {
            files: self.files,
            inner,
        }
    }
}

/// A service with its layers.
#[derive(Clone, Debug)]
pub(in crate::worker) struct LayeredService {
    files: Option<Arc<Mounts>>,
    inner: BoxedService,
}

impl Service<Request<RequestBody>> for LayeredService {
    type Response = Response<LayeredBody>;
    type Error = BoxError;
    type Future = BoxedResponse;

    /// Files are served even while the service is not ready, which each request waits for by itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> BoxedResponse {
        let inner = self.inner.clone();
        match &self.files {
            Some(files) => files.clone().serve(request, inner),
            None => Box::pin(tower::ServiceExt::oneshot(inner, request)),
        }
    }
}
