//! The chain of handlers in a `WsgiHandler`: each gets the request until one responds.

use std::{
    future::{Ready, ready},
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_server_info::ServerResponse;
use tower_service::Service;

use crate::{Body, BoxError};

const NOT_FOUND: &str = "There is nothing at this address.";

/// A response, or the request for the next handler.
type Outcome<B> = Result<ControlFlow<Response<Body>, Request<B>>, BoxError>;

/// Something that may respond to a request.
pub trait Handler<B>: Clone {
    type Future: Future<Output = Outcome<B>>;

    fn handle(&self, request: Request<B>) -> Self::Future;
}

/// Handlers to which one more can be added.
pub trait Append: Sized {
    /// These, and after them `N`.
    type With<N>;

    fn append<N>(self, next: N) -> Self::With<N>;
}

/// No handler: every request is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

// The result has no `Empty` before its only handler, which would cost a call for each request.
impl Append for Empty {
    type With<N> = N;

    fn append<N>(self, next: N) -> N {
        next
    }
}

impl<B> Handler<B> for Empty {
    type Future = Ready<Outcome<B>>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        ready(Ok(ControlFlow::Continue(request)))
    }
}

/// A service that is called on the event loop. It always responds.
#[derive(Clone, Debug)]
pub struct Inline<S>(pub(super) S);

impl<S, B, ResBody> Handler<B> for Inline<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Future = InlineFuture<S, B>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        InlineFuture {
            response: Oneshot::new(self.0.clone(), request),
        }
    }
}

pin_project! {
    pub struct InlineFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        response: Oneshot<S, Request<B>>,
    }
}

impl<S, B, ResBody> Future for InlineFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Outcome<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<B>> {
        let response = ready!(self.project().response.poll(cx)).map_err(Into::into)?;
        Poll::Ready(Ok(ControlFlow::Break(response.map(Body::new))))
    }
}

impl<S> Append for Inline<S> {
    type With<N> = Chain<Self, N>;

    fn append<N>(self, next: N) -> Chain<Self, N> {
        Chain::new(self, next)
    }
}

/// A handler, and the one that gets what the first passes on.
#[derive(Clone, Debug)]
pub struct Chain<H, N> {
    first: H,
    next: N,
}

impl<H, N> Chain<H, N> {
    pub(super) fn new(first: H, next: N) -> Self {
        Self { first, next }
    }
}

impl<H, M> Append for Chain<H, M> {
    type With<N> = Chain<Self, N>;

    fn append<N>(self, next: N) -> Chain<Self, N> {
        Chain::new(self, next)
    }
}

impl<H, N, B> Handler<B> for Chain<H, N>
where
    H: Handler<B>,
    N: Handler<B>,
{
    type Future = ChainFuture<H::Future, N, N::Future>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        ChainFuture::First {
            future: self.first.handle(request),
            next: self.next.clone(),
        }
    }
}

pin_project! {
    #[project = ChainFutureProj]
    pub enum ChainFuture<Fut, N, NextFut> {
        First { #[pin] future: Fut, next: N },
        Next { #[pin] future: NextFut },
    }
}

impl<Fut, N, B> Future for ChainFuture<Fut, N, N::Future>
where
    Fut: Future<Output = Outcome<B>>,
    N: Handler<B>,
{
    type Output = Outcome<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<B>> {
        loop {
            let future = match self.as_mut().project() {
                ChainFutureProj::Next { future } => return future.poll(cx),
                ChainFutureProj::First { future, next } => match ready!(future.poll(cx))? {
                    ControlFlow::Break(response) => {
                        return Poll::Ready(Ok(ControlFlow::Break(response)));
                    }
                    ControlFlow::Continue(request) => next.handle(request),
                },
            };
            self.set(Self::Next { future });
        }
    }
}

/// The handlers as a service. What all of them pass on gets a 404.
#[derive(Clone, Debug)]
pub struct ChainService<H>(pub(super) H);

impl<H, B> Service<Request<B>> for ChainService<H>
where
    H: Handler<B>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = ChainServiceFuture<H::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ChainServiceFuture {
            outcome: self.0.handle(request),
        }
    }
}

pin_project! {
    pub struct ChainServiceFuture<Fut> {
        #[pin]
        outcome: Fut,
    }
}

impl<Fut, B> Future for ChainServiceFuture<Fut>
where
    Fut: Future<Output = Outcome<B>>,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().outcome.poll(cx))?;
        Poll::Ready(Ok(match outcome {
            ControlFlow::Break(response) => response,
            ControlFlow::Continue(_) => {
                ServerResponse::new(StatusCode::NOT_FOUND, NOT_FOUND).into_response()
            }
        }))
    }
}
