//! The layer, its service, and its response future.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    ResponseMiddleware,
    list::{EditFuture, EditResult, ResponseEdits, ResponseMiddlewareList},
};
use crate::{Body, BoxError};

/// Edits the responses of the service below. See the [module docs](super).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ResponseMiddlewareLayer {
    middleware: ResponseMiddlewareList,
}

impl ResponseMiddlewareLayer {
    /// A layer without middleware, which changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a middleware. It runs after the ones added before.
    pub fn with(mut self, middleware: impl ResponseMiddleware) -> Self {
        self.middleware.push(middleware);
        self
    }
}

impl<S> Layer<S> for ResponseMiddlewareLayer {
    type Service = EditResponse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EditResponse {
            inner,
            middleware: self.middleware.clone(),
        }
    }
}

/// Edits the responses of a service. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct EditResponse<S> {
    pub(super) inner: S,
    pub(super) middleware: ResponseMiddlewareList,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EditResponse<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = EditResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let edits = self.middleware.edits(&parts);
        EditResponseFuture {
            edits,
            state: EditState::Calling {
                future: self.inner.call(Request::from_parts(parts, body)),
            },
        }
    }
}

pin_project! {
    /// The response of [`EditResponse`].
    pub struct EditResponseFuture<F> {
        edits: Option<ResponseEdits>,
        #[pin]
        state: EditState<F>,
    }
}

pin_project! {
    #[project = EditStateProj]
    enum EditState<F> {
        Calling { #[pin] future: F },
        Editing { future: EditFuture<'static> },
    }
}

impl<F, B, E> Future for EditResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let response = match this.state.as_mut().project() {
                EditStateProj::Calling { future } => ready!(future.poll(cx))?.map(Body::new),
                EditStateProj::Editing { future } => return future.as_mut().poll(cx).map(Ok),
            };
            let Some(edits) = this.edits.take() else {
                return Poll::Ready(Ok(response));
            };
            match edits.edit(response) {
                EditResult::Ready(response) => return Poll::Ready(Ok(response)),
                EditResult::Pending(future) => this.state.set(EditState::Editing { future }),
            }
        }
    }
}

impl<F> fmt::Debug for EditResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditResponseFuture").finish_non_exhaustive()
    }
}
