//! Handlers that are functions on a pool of threads.

use std::{fmt, future::ready, ops::ControlFlow, sync::Arc};

use http::{Request, Response};
use tower_blocking::internal::RequestFuture;

use super::chain::{Append, Chain, Handler};
use crate::{BoxError, blocking::BlockingLayer};

/// What a [blocking function](super::WsgiHandlerBuilder::blocking) may return: a `Response`, an `Option` of one (with
/// `None` the next handler gets the request), or a `Result` of either.
pub trait IntoOptionalResponse {
    /// The body of the response.
    type Body;

    /// The response, or `None` to pass the request to the next handler.
    ///
    /// # Errors
    ///
    /// The function's error, which the `WsgiHandler` turns into a 500.
    fn into_optional_response(self) -> Result<Option<Response<Self::Body>>, BoxError>;
}

impl<B> IntoOptionalResponse for Response<B> {
    type Body = B;

    fn into_optional_response(self) -> Result<Option<Self>, BoxError> {
        Ok(Some(self))
    }
}

impl<B> IntoOptionalResponse for Option<Response<B>> {
    type Body = B;

    fn into_optional_response(self) -> Result<Self, BoxError> {
        Ok(self)
    }
}

impl<T: IntoOptionalResponse, E: Into<BoxError>> IntoOptionalResponse for Result<T, E> {
    type Body = T::Body;

    fn into_optional_response(self) -> Result<Option<Response<T::Body>>, BoxError> {
        self.map_err(Into::into)?.into_optional_response()
    }
}

/// A function that runs on a pool.
pub struct Blocking<F> {
    pub(super) layer: BlockingLayer,
    pub(super) function: Arc<F>,
}

impl<F, T, B> Handler<B> for Blocking<F>
where
    F: Fn(&mut Request<B>) -> T + Send + Sync + 'static,
    T: IntoOptionalResponse,
    T::Body: http_body::Body,
    <T::Body as http_body::Body>::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
{
    type Future = RequestFuture<Request<B>, BoxError>;

    fn handle(&self, request: Request<B>) -> Self::Future {
        let function = Arc::clone(&self.function);
        self.layer.run(request, move |mut request, _| {
            let response = function(&mut request).into_optional_response();
            ready(response.map(|response| match response {
                Some(response) => ControlFlow::Break(response),
                None => ControlFlow::Continue(request),
            }))
        })
    }
}

impl<F> Append for Blocking<F> {
    type With<N> = Chain<Self, N>;

    fn append<N>(self, next: N) -> Chain<Self, N> {
        Chain::new(self, next)
    }
}

impl<F> Clone for Blocking<F> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            function: Arc::clone(&self.function),
        }
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}
