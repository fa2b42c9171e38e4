//! A plain function as a service.

use std::{
    any::type_name,
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

/// Makes a service of a plain function that may block. The function returns a `Response<B>`, or a
/// `Result<Response<B>, E>`.
///
/// The function runs inside the service's call. Put a [`BlockingLayer`](super::BlockingLayer) above it, otherwise it blocks
/// the event loop.
///
/// With axum, `into_response()` turns each type that is a response there into one here:
///
/// ```
/// use axum::{Router, response::{Html, IntoResponse}};
/// use http::Request;
/// use tower::Layer;
/// use tower_blocking::blocking::{BlockingLayer, BlockingPool, blocking_fn};
///
/// let report = blocking_fn(|_: Request<axum::body::Body>| Html("<p>a long report").into_response());
/// let pool = BlockingPool::new(4);
/// let app: Router = Router::new().route_service("/report", BlockingLayer::new(&pool).layer(report));
/// ```
pub const fn blocking_fn<F>(function: F) -> BlockingFn<F> {
    BlockingFn { function }
}

/// A service made by [`blocking_fn`].
#[derive(Clone, Copy)]
pub struct BlockingFn<F> {
    function: F,
}

/// What a function of [`blocking_fn`] may return: a `Response<B>`, or a `Result<Response<B>, E>`.
pub trait IntoServiceResult: sealed::Sealed {
    /// The body of the response.
    type Body;

    /// The error of the service.
    type Error;

    /// The result of the service.
    ///
    /// # Errors
    ///
    /// The error of the function.
    fn into_service_result(self) -> Result<Response<Self::Body>, Self::Error>;
}

mod sealed {
    pub trait Sealed {}

    impl<B> Sealed for http::Response<B> {}
    impl<B, E> Sealed for Result<http::Response<B>, E> {}
}

impl<B> IntoServiceResult for Response<B> {
    type Body = B;
    type Error = Infallible;

    fn into_service_result(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl<B, E> IntoServiceResult for Result<Response<B>, E> {
    type Body = B;
    type Error = E;

    fn into_service_result(self) -> Self {
        self
    }
}

impl<F, B, R> Service<Request<B>> for BlockingFn<F>
where
    F: Fn(Request<B>) -> R,
    R: IntoServiceResult,
{
    type Response = Response<R::Body>;
    type Error = R::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready((self.function)(request).into_service_result())
    }
}

impl<F> fmt::Debug for BlockingFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingFn")
            .field("function", &type_name::<F>())
            .finish()
    }
}
