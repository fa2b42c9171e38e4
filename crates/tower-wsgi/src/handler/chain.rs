//! The handlers of a `WsgiHandler`, one after the other until one answers.

use std::{
    fmt,
    future::{Ready, ready},
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_blocking::internal::{Label, Rejection, Running, run};
use tower_service::Service;

use super::IntoAnswer;
use crate::{Body, BoxError, blocking::BlockingPool};

const NOT_FOUND: Rejection =
    Rejection::new(StatusCode::NOT_FOUND, "There is nothing at this address.");

/// An answer, or the request for the next handler.
type Outcome<B> = Result<ControlFlow<Response<Body>, Request<B>>, BoxError>;

/// Something that may answer a request.
pub trait Handle<B>: Clone {
    type Future: Future<Output = Outcome<B>>;

    fn handle(&self, request: Request<B>) -> Self::Future;
}

/// Handlers to which one more can be added.
pub trait Append: Sized {
    /// These, and after them `N`.
    type With<N>;

    fn append<N>(self, next: N) -> Self::With<N>;
}

/// Nobody: every request goes on.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

// Nobody need not be asked first: a single handler stands alone.
impl Append for Nobody {
    type With<N> = N;

    fn append<N>(self, next: N) -> N {
        next
    }
}

impl<B> Handle<B> for Nobody {
    type Future = Ready<Outcome<B>>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        ready(Ok(ControlFlow::Continue(request)))
    }
}

/// A function that runs on a pool.
pub struct InExecutor<F> {
    pub(super) pool: BlockingPool,
    pub(super) function: Arc<F>,
}

impl<F, A, B> Handle<B> for InExecutor<F>
where
    F: Fn(&mut Request<B>) -> A + Send + Sync + 'static,
    A: IntoAnswer,
    A::Body: http_body::Body,
    <A::Body as http_body::Body>::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Future = Running<Request<B>, BoxError>;

    fn handle(&self, mut request: Request<B>) -> Self::Future {
        let function = Arc::clone(&self.function);
        run(&self.pool, Label::of(&request), move || {
            let answer = function(&mut request).into_answer();
            ready(answer.map(|answer| match answer {
                Some(response) => ControlFlow::Break(response),
                None => ControlFlow::Continue(request),
            }))
        })
    }
}

impl<F> Append for InExecutor<F> {
    type With<N> = Then<Self, N>;

    fn append<N>(self, next: N) -> Then<Self, N> {
        Then { first: self, next }
    }
}

impl<F> Clone for InExecutor<F> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            function: Arc::clone(&self.function),
        }
    }
}

impl<F> fmt::Debug for InExecutor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InExecutor")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// A service, which always answers.
#[derive(Clone, Debug)]
pub struct OnLoop<S>(pub(super) S);

/// A WSGI application on the threads of a pool.
#[cfg(feature = "wsgi")]
pub(super) type OnPool<A> = OnLoop<crate::blocking::Blocking<crate::wsgi::WsgiService<A>>>;

impl<S, B, ResBody> Handle<B> for OnLoop<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Future = OnLoopFuture<S, B>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        OnLoopFuture {
            response: Oneshot::new(self.0.clone(), request),
        }
    }
}

pin_project! {
    pub struct OnLoopFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        response: Oneshot<S, Request<B>>,
    }
}

impl<S, B, ResBody> Future for OnLoopFuture<S, B>
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

impl<S> Append for OnLoop<S> {
    type With<N> = Then<Self, N>;

    fn append<N>(self, next: N) -> Then<Self, N> {
        Then { first: self, next }
    }
}

/// One after the other.
#[derive(Clone, Debug)]
pub struct Then<A, N> {
    first: A,
    next: N,
}

impl<A, B> Append for Then<A, B> {
    type With<N> = Then<Self, N>;

    fn append<N>(self, next: N) -> Then<Self, N> {
        Then { first: self, next }
    }
}

impl<A, N, B> Handle<B> for Then<A, N>
where
    A: Handle<B>,
    N: Handle<B>,
{
    type Future = ThenFuture<A::Future, N, N::Future>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        ThenFuture::First {
            future: self.first.handle(request),
            next: self.next.clone(),
        }
    }
}

pin_project! {
    #[project = ThenProj]
    pub enum ThenFuture<Fut, N, NextFut> {
        First { #[pin] future: Fut, next: N },
        Next { #[pin] future: NextFut },
    }
}

impl<Fut, N, B> Future for ThenFuture<Fut, N, N::Future>
where
    Fut: Future<Output = Outcome<B>>,
    N: Handle<B>,
{
    type Output = Outcome<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<B>> {
        loop {
            let future = match self.as_mut().project() {
                ThenProj::Next { future } => return future.poll(cx),
                ThenProj::First { future, next } => match ready!(future.poll(cx))? {
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

/// The handlers as a service. Nobody answers: 404.
#[derive(Clone, Debug)]
pub struct Chain<H>(pub(super) H);

impl<H, B> Service<Request<B>> for Chain<H>
where
    H: Handle<B>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = ChainFuture<H::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ChainFuture {
            outcome: self.0.handle(request),
        }
    }
}

pin_project! {
    pub struct ChainFuture<Fut> {
        #[pin]
        outcome: Fut,
    }
}

impl<Fut, B> Future for ChainFuture<Fut>
where
    Fut: Future<Output = Outcome<B>>,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().outcome.poll(cx))?;
        Poll::Ready(Ok(match outcome {
            ControlFlow::Break(response) => response,
            ControlFlow::Continue(_) => NOT_FOUND.into_response(),
        }))
    }
}
