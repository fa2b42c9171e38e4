use std::{
    any::type_name,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

/// Makes a service of a plain function that may block: `Fn(Request<B>) -> Result<Response<R>, E>`.
///
/// The function runs inside the service's call. Put a [`BlockingLayer`](super::BlockingLayer) above
/// it, otherwise it blocks the event loop.
pub const fn blocking_fn<F>(function: F) -> BlockingFn<F> {
    BlockingFn { function }
}

/// A service made by [`blocking_fn`].
#[derive(Clone, Copy)]
pub struct BlockingFn<F> {
    function: F,
}

impl<F, B, R, E> Service<Request<B>> for BlockingFn<F>
where
    F: Fn(Request<B>) -> Result<Response<R>, E>,
{
    type Response = Response<R>;
    type Error = E;
    type Future = Ready<Result<Response<R>, E>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready((self.function)(request))
    }
}

impl<F> fmt::Debug for BlockingFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingFn")
            .field("function", &type_name::<F>())
            .finish()
    }
}
