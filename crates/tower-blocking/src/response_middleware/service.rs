use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::list::{Edited, Edits, List, Waiting};
use crate::{Body, BoxError};

/// Edits the responses of a service. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct EditResponse<S> {
    pub(super) inner: S,
    pub(super) middleware: List,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EditResponse<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let edits = self.middleware.edits(&parts);
        ResponseFuture {
            edits,
            state: State::Calling {
                future: self.inner.call(Request::from_parts(parts, body)),
            },
        }
    }
}

pin_project! {
    /// The response of [`EditResponse`].
    pub struct ResponseFuture<F> {
        edits: Option<Edits>,
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Editing { future: Waiting<'static> },
    }
}

impl<F, B, E> Future for ResponseFuture<F>
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
                StateProj::Calling { future } => ready!(future.poll(cx))?.map(Body::new),
                StateProj::Editing { future } => return future.as_mut().poll(cx).map(Ok),
            };
            let Some(edits) = this.edits.take() else {
                return Poll::Ready(Ok(response));
            };
            match edits.edit(response) {
                Edited::Now(response) => return Poll::Ready(Ok(response)),
                Edited::Later(future) => this.state.set(State::Editing { future }),
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
