//! The layer, its service, and its response future.

use std::{
    convert::Infallible,
    fmt,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::TryFutureExt as _;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    BlockingPool,
    job::RequestInfo,
    run::{JobFuture, run},
};
use crate::{Body, BoxError};

/// Runs the service below on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct BlockingLayer {
    pool: BlockingPool,
}

impl BlockingLayer {
    /// A layer whose services run on `pool`, which other layers may share.
    pub fn new(pool: &BlockingPool) -> Self {
        Self { pool: pool.clone() }
    }
}

impl<S> Layer<S> for BlockingLayer {
    type Service = Blocking<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Blocking {
            inner,
            pool: self.pool.clone(),
        }
    }
}

/// Runs a service on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct Blocking<S> {
    inner: S,
    pool: BlockingPool,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Blocking<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Send + 'static,
    ReqBody: Send + 'static,
    ResBody: http_body::Body,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Error>;

    // The inner service is polled for readiness on the thread, just before its call: it must not hold one of its permits
    // while the request waits in the queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let inner = self.inner.clone();
        let job = run(&self.pool, RequestInfo::of(&request), move |early| {
            request.extensions_mut().insert(early());
            Oneshot::new(inner, request).map_ok(ControlFlow::Break)
        });
        ResponseFuture { job }
    }
}

pin_project! {
    /// The response of [`Blocking`]. If it is dropped while the request is queued, the request leaves the queue.
    pub struct ResponseFuture<E> {
        #[pin]
        job: JobFuture<Infallible, E>,
    }
}

impl<E> Future for ResponseFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().job.poll(cx))?;
        match outcome {
            ControlFlow::Break(response) => Poll::Ready(Ok(response)),
            ControlFlow::Continue(never) => match never {},
        }
    }
}

impl<E> fmt::Debug for ResponseFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
