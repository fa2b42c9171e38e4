//! What edits a response: the trait, and functions as middleware.

use std::{any::type_name, fmt, future::ready, mem};

use http::{Response, request::Parts};

use crate::Body;

/// Edits a response, or replaces it. See the [module docs](super).
pub trait ResponseMiddleware: Send + Sync + 'static {
    /// Returns the response for the next middleware, or for the client.
    fn edit(
        &self,
        request: &Parts,
        response: Response<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Edits the response in place, for a middleware that never waits. It is called first, and avoids the allocation of a
    /// future.
    ///
    /// Returns `false` if it has done nothing, which is the default. Then [`edit`](Self::edit) is called.
    fn edit_now(&self, _request: &Parts, _response: &mut Response<Body>) -> bool {
        false
    }
}

impl<F> ResponseMiddleware for F
where
    F: Fn(&Parts, Response<Body>) -> Response<Body> + Send + Sync + 'static,
{
    fn edit(
        &self,
        request: &Parts,
        response: Response<Body>,
    ) -> impl Future<Output = Response<Body>> + Send {
        ready(self(request, response))
    }

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool {
        *response = self(request, mem::take(response));
        true
    }
}

/// Makes a middleware from a function that edits the response in place: `Fn(&Parts, &mut Response<Body>)`.
///
/// ```
/// use http::{HeaderValue, Response, request::Parts};
/// use tower_blocking::{Body, response_middleware::{ResponseMiddlewareLayer, edit}};
///
/// let layer = ResponseMiddlewareLayer::new().with(edit(|_: &Parts, response: &mut Response<Body>| {
///     response.headers_mut().insert("x-frame-options", HeaderValue::from_static("DENY"));
/// }));
/// ```
pub const fn edit<F>(function: F) -> EditFn<F>
where
    F: Fn(&Parts, &mut Response<Body>) + Send + Sync + 'static,
{
    EditFn { function }
}

/// A middleware made by [`edit`].
#[derive(Clone, Copy)]
pub struct EditFn<F> {
    function: F,
}

impl<F> ResponseMiddleware for EditFn<F>
where
    F: Fn(&Parts, &mut Response<Body>) + Send + Sync + 'static,
{
    fn edit(
        &self,
        request: &Parts,
        mut response: Response<Body>,
    ) -> impl Future<Output = Response<Body>> + Send {
        (self.function)(request, &mut response);
        ready(response)
    }

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool {
        (self.function)(request, response);
        true
    }
}

impl<F> fmt::Debug for EditFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditFn")
            .field("function", &type_name::<F>())
            .finish()
    }
}

/// Makes a middleware from an `async fn(&Parts, Response<Body>) -> Response<Body>`.
pub const fn from_async_fn<F>(function: F) -> FromAsyncFn<F>
where
    F: for<'a> AsyncEdit<'a>,
{
    FromAsyncFn { function }
}

/// A middleware made by [`from_async_fn`].
#[derive(Clone, Copy)]
pub struct FromAsyncFn<F> {
    function: F,
}

impl<F> ResponseMiddleware for FromAsyncFn<F>
where
    F: for<'a> AsyncEdit<'a>,
{
    fn edit(
        &self,
        request: &Parts,
        response: Response<Body>,
    ) -> impl Future<Output = Response<Body>> + Send {
        self.function.edit(request, response)
    }
}

impl<F> fmt::Debug for FromAsyncFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromAsyncFn")
            .field("function", &type_name::<F>())
            .finish()
    }
}

/// An asynchronous function whose future is `Send`. `AsyncFn` cannot say that about its future.
pub trait AsyncEdit<'a>: Send + Sync + 'static {
    /// What the function returns.
    type Future: Future<Output = Response<Body>> + Send;

    /// Calls the function.
    fn edit(&self, request: &'a Parts, response: Response<Body>) -> Self::Future;
}

impl<'a, F, Fut> AsyncEdit<'a> for F
where
    F: Fn(&'a Parts, Response<Body>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'a,
{
    type Future = Fut;

    fn edit(&self, request: &'a Parts, response: Response<Body>) -> Fut {
        self(request, response)
    }
}
