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
use tower_service::Service;

use super::{
    BlockingPool,
    label::Label,
    run::{Running, run},
};
use crate::{Body, BoxError};

/// Runs a service on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct Blocking<S> {
    pub(super) inner: S,
    pub(super) pool: BlockingPool,
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

    // The inner service is asked on the thread, where its call is: it must not hold one of its
    // permits while the request waits in the queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let inner = self.inner.clone();
        let running = run(&self.pool, Label::of(&request), move || {
            Oneshot::new(inner, request).map_ok(ControlFlow::Break)
        });
        ResponseFuture { running }
    }
}

pin_project! {
    /// The response of [`Blocking`]. Dropped while the request waits, it takes it out of the queue.
    pub struct ResponseFuture<E> {
        #[pin]
        running: Running<Infallible, E>,
    }
}

impl<E> Future for ResponseFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().running.poll(cx))?;
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
