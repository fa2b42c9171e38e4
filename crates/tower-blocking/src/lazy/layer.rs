//! The layer, its service, and its response future.

use std::{
    any::type_name,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use super::build::Build;
use crate::{Body, BoxError, Rejection};

/// Makes a [`Lazy`] service from a function that builds one. See the [module docs](super).
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct LazyLayer {
    _priv: (),
}

impl LazyLayer {
    /// A layer over a function `Fn() -> impl Future<Output = Result<S, E>>`.
    pub const fn new() -> Self {
        Self { _priv: () }
    }
}

impl<F, Fut, S, E> Layer<F> for LazyLayer
where
    F: Fn() -> Fut + Clone,
    Fut: Future<Output = Result<S, E>>,
{
    type Service = Lazy<F, S>;

    fn layer(&self, make: F) -> Self::Service {
        Lazy {
            build: Arc::new(Build::new(make)),
        }
    }
}

/// A service that is built at its first request. See the [module docs](super).
pub struct Lazy<F, S> {
    build: Arc<Build<F, S>>,
}

impl<F, Fut, S, E> Lazy<F, S>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S, E>>,
    E: Into<BoxError>,
{
    /// Builds the service now, unless it is built already.
    ///
    /// # Errors
    ///
    /// The build's error. The next request, or the next `warm`, tries again.
    pub async fn warm(&self) -> Result<(), BoxError> {
        match self.build.get().await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<F, Fut, S, E, ReqBody, ResBody> Service<Request<ReqBody>> for Lazy<F, S>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send,
    E: Into<BoxError> + Send,
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Send,
    ReqBody: Send + 'static,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = LazyFuture<S, ReqBody>;

    // There may be no service yet. The built one is polled for readiness in the response future.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let state = if let Some(service) = self.build.done() {
            LazyState::Built {
                future: Oneshot::new(service.clone(), request),
            }
        } else {
            let build = Arc::clone(&self.build);
            LazyState::Building {
                future: Box::pin(async move {
                    let Ok(service) = build.get().await.cloned() else {
                        return Ok(Rejection::BuildFailed.into_response());
                    };
                    let response = Oneshot::new(service, request).await?;
                    Ok(response.map(Body::new))
                }),
            }
        };
        LazyFuture { state }
    }
}

impl<F, S> Clone for Lazy<F, S> {
    fn clone(&self) -> Self {
        Self {
            build: Arc::clone(&self.build),
        }
    }
}

impl<F, S> fmt::Debug for Lazy<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy")
            .field("make", &type_name::<F>())
            .field("built", &self.build.done().is_some())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of [`Lazy`].
    pub struct LazyFuture<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: LazyState<S, ReqBody>,
    }
}

type Building<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

pin_project! {
    #[project = LazyStateProj]
    enum LazyState<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        Built { #[pin] future: Oneshot<S, Request<ReqBody>> },
        Building { future: Building<S::Error> },
    }
}

impl<S, ReqBody, ResBody> Future for LazyFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            LazyStateProj::Built { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(Body::new)))
            }
            LazyStateProj::Building { future } => future.as_mut().poll(cx),
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for LazyFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyFuture").finish_non_exhaustive()
    }
}
