use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::middleware::List;
use crate::{Body, BoxError};

/// Edits the responses of a service. See the [module docs](super).
#[derive(Clone, Debug)]
pub struct EditResponse<S> {
    pub(super) inner: S,
    pub(super) middleware: Arc<List>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EditResponse<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let future = self.inner.call(Request::from_parts(parts.clone(), body));
        let middleware = Arc::clone(&self.middleware);
        ResponseFuture {
            future: Box::pin(async move {
                let response = future.await?.map(Body::new);
                Ok(middleware.edit(&parts, response).await)
            }),
        }
    }
}

/// The response of [`EditResponse`].
pub struct ResponseFuture<E> {
    future: Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>,
}

impl<E> Future for ResponseFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl<E> fmt::Debug for ResponseFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
