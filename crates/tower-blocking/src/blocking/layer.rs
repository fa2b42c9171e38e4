//! The layer, its service, and its response future.

use std::{
    convert::Infallible,
    fmt,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use futures_util::TryFutureExt as _;
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    BlockingPool,
    job::RequestInfo,
    reply::EarlyResponse,
    run::{RequestFuture, run_request},
};
use crate::{Body, BoxError, Rejection, on_rejection::OnRejection};

/// Runs the service below on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct BlockingLayer {
    pool: BlockingPool,
    request_bodies: RequestBodies,
    on_rejection: OnRejection,
}

/// What the layer expects of request bodies.
#[derive(Clone, Copy, Debug)]
enum RequestBodies {
    /// There is none, or it has arrived.
    Arrived,
    /// A thread may wait for the client.
    Streaming,
}

impl BlockingLayer {
    /// A layer whose services run on `pool`, which other layers may share.
    ///
    /// It is for requests without a body, such as those of `GET`, and for requests below a
    /// [`WaitForBodyLayer`](crate::wait_for_body::WaitForBodyLayer). A service that reads any other body waits for the
    /// client, so that a slow upload holds a thread. The layer logs a warning then, at most once a minute for each pool.
    /// [`streaming`](Self::streaming) allows it.
    pub fn new(pool: &BlockingPool) -> Self {
        Self {
            pool: pool.clone(),
            request_bodies: RequestBodies::Arrived,
            on_rejection: OnRejection::default(),
        }
    }

    /// A layer like that of [`new`](Self::new), for services that read the request body while it arrives.
    ///
    /// A client that sends slowly holds a thread. So the server has to limit the time for a body, or its clients have to
    /// be trusted.
    pub fn streaming(pool: &BlockingPool) -> Self {
        let mut layer = Self::new(pool);
        layer.request_bodies = RequestBodies::Streaming;
        layer
    }

    /// The function that makes the response when the pool refuses a request, by default
    /// [`Rejection::into_response`].
    ///
    /// ```
    /// use http::Response;
    /// use tower_blocking::{Body, Rejection, blocking::{BlockingLayer, BlockingPool}};
    ///
    /// let layer = BlockingLayer::new(&BlockingPool::new(4)).on_rejection(|rejection: Rejection| {
    ///     if rejection == Rejection::QueueFull {
    ///         // … count it
    ///     }
    ///     let mut response = Response::new(Body::from("Please try again."));
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
        self.on_rejection = OnRejection::new(respond);
        self
    }
}

impl From<&BlockingPool> for BlockingLayer {
    fn from(pool: &BlockingPool) -> Self {
        Self::new(pool)
    }
}

impl BlockingLayer {
    /// Runs a request on the pool: its work, its future, and its response body. `tower-wsgi` uses it, too.
    #[doc(hidden)]
    pub fn run<B, F, Fut, R, P, E>(&self, request: Request<B>, work: F) -> RequestFuture<P, E>
    where
        B: http_body::Body + Send + 'static,
        F: FnOnce(Request<B>, &dyn Fn() -> EarlyResponse) -> Fut + Send + 'static,
        Fut: Future<Output = Result<ControlFlow<Response<R>, P>, E>>,
        R: http_body::Body,
        R::Error: Into<BoxError>,
        P: Send + 'static,
        E: Send + 'static,
    {
        self.check_body(&request);
        let info = RequestInfo::of(&request);
        let job = run_request(&self.pool, info, move |early| work(request, early));
        job.on_rejection(&self.on_rejection)
    }

    /// Warns of a request body that a thread has to wait for.
    fn check_body<B: http_body::Body + 'static>(&self, request: &Request<B>) {
        if matches!(self.request_bodies, RequestBodies::Arrived) && !has_arrived(request.body()) {
            self.warn_of_streaming(request.method(), request.uri().path());
        }
    }

    #[cold]
    fn warn_of_streaming(&self, method: &Method, path: &str) {
        if let Some(times) = self.pool.streaming_bodies().pass(Instant::now()) {
            tracing::warn!(
                %method,
                path,
                times,
                "a request body is read on a thread of the pool, so a client that sends slowly holds the thread; \
                 put a WaitForBodyLayer above the BlockingLayer, or allow it with BlockingLayer::streaming"
            );
        }
    }
}

fn has_arrived<B: http_body::Body + 'static>(body: &B) -> bool {
    #[cfg(feature = "wait-for-body")]
    if std::any::TypeId::of::<B>() == std::any::TypeId::of::<crate::BufferedBody>() {
        return true;
    }
    body.is_end_stream()
}

impl<S> Layer<S> for BlockingLayer {
    type Service = Blocking<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Blocking {
            inner,
            layer: Arc::new(self.clone()),
        }
    }
}

/// Runs a service on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct Blocking<S> {
    inner: S,
    // One pointer, since services are cloned and moved.
    layer: Arc<BlockingLayer>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Blocking<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Send + 'static,
    ReqBody: http_body::Body + Send + 'static,
    ResBody: http_body::Body,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BlockingFuture<S::Error>;

    // The inner service is polled for readiness on the thread, just before its call: it must not hold one of its permits
    // while the request waits in the queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let inner = self.inner.clone();
        let job = self.layer.run(request, move |mut request, early| {
            request.extensions_mut().insert(early());
            Oneshot::new(inner, request).map_ok(ControlFlow::Break)
        });
        BlockingFuture { job }
    }
}

pin_project! {
    /// The response of [`Blocking`]. If it is dropped while the request is queued, the request leaves the queue.
    pub struct BlockingFuture<E> {
        #[pin]
        job: RequestFuture<Infallible, E>,
    }
}

impl<E> Future for BlockingFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().job.poll(cx))?;
        match outcome {
            ControlFlow::Break(response) => Poll::Ready(Ok(response)),
            ControlFlow::Continue(never) => match never {},
        }
    }
}

impl<E> fmt::Debug for BlockingFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingFuture").finish_non_exhaustive()
    }
}
