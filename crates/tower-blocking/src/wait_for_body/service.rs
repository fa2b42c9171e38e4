//! The service of the layer, and its response future.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_LENGTH};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use super::{collect::collect, layer::BodySettings};
use crate::{Body, BoxError, BufferedBody, Rejection};

/// Waits for the whole request body. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct WaitForBody<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<BodySettings>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for WaitForBody<S>
where
    S: Service<Request<BufferedBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    ReqBody: http_body::Body + Send + 'static,
    ReqBody::Data: Send,
    ReqBody::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = WaitForBodyFuture<S>;

    // The inner service is polled for readiness when the body has arrived: a client that never finishes its upload must
    // not hold one of its permits.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if request.body().is_end_stream() {
            let request = request.map(|_| BufferedBody::default());
            let future = Oneshot::new(self.inner.clone(), request);
            return WaitForBodyFuture {
                state: WaitState::Calling { future },
            };
        }
        let length = declared_length(&request);
        let rejection = if length > self.settings.limit {
            Some(Rejection::BodyTooLarge)
        } else if !self.settings.has_space(length) {
            Some(Rejection::DiskBudget)
        } else {
            None
        };
        let state = if let Some(rejection) = rejection {
            WaitState::Rejected {
                response: Some(self.settings.reject(rejection, request.version())),
            }
        } else {
            let inner = self.inner.clone();
            let settings = Arc::clone(&self.settings);
            WaitState::Waiting {
                future: Box::pin(wait(inner, settings, request)),
            }
        };
        WaitForBodyFuture { state }
    }
}

/// The lower bound of the body is not enough, since a limiting wrapper may have lowered it.
fn declared_length<B: http_body::Body>(request: &Request<B>) -> u64 {
    let header = request.headers().get(CONTENT_LENGTH);
    header
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0)
        .max(request.body().size_hint().lower())
}

async fn wait<S, ReqBody, ResBody>(
    inner: S,
    settings: Arc<BodySettings>,
    request: Request<ReqBody>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<BufferedBody>, Response = Response<ResBody>>,
    ReqBody: http_body::Body + Send,
    ReqBody::Data: Send,
    ReqBody::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    match collect(body, &settings).await {
        Ok(body) => Oneshot::new(inner, Request::from_parts(parts, body))
            .await
            .map(|response| response.map(Body::new)),
        Err(rejection) => Ok(settings.reject(rejection, parts.version)),
    }
}

pin_project! {
    /// The response of [`WaitForBody`].
    pub struct WaitForBodyFuture<S>
    where
        S: Service<Request<BufferedBody>>,
    {
        #[pin]
        state: WaitState<S>,
    }
}

type WaitFuture<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

pin_project! {
    #[project = WaitStateProj]
    enum WaitState<S>
    where
        S: Service<Request<BufferedBody>>,
    {
        Calling { #[pin] future: Oneshot<S, Request<BufferedBody>> },
        Waiting { future: WaitFuture<S::Error> },
        Rejected { response: Option<Response<Body>> },
    }
}

impl<S, ResBody> Future for WaitForBodyFuture<S>
where
    S: Service<Request<BufferedBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            WaitStateProj::Calling { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(Body::new)))
            }
            WaitStateProj::Waiting { future } => future.as_mut().poll(cx),
            WaitStateProj::Rejected { response } => {
                Poll::Ready(Ok(response.take().expect("future polled after completion")))
            }
        }
    }
}

impl<S: Service<Request<BufferedBody>>> fmt::Debug for WaitForBodyFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForBodyFuture").finish_non_exhaustive()
    }
}
