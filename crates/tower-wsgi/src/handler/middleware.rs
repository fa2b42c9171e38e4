//! Request middleware, and the list of it in a `WsgiHandler`.

use std::{any::type_name, fmt, future::ready, ops::ControlFlow, pin::Pin};

use http::{Response, request::Parts};

use crate::Body;

/// Sees the head of a request before its body is read, may change it, and may respond.
///
/// Closures `Fn(&mut Parts) -> ControlFlow<Response<Body>>` implement it, and [`from_async_fn`] makes middleware from
/// an asynchronous function. Middleware runs on the event loop and must not block. See the [module docs](super).
pub trait Middleware: Send + Sync + 'static {
    /// Responds with `Break`, or passes the request on with `Continue`.
    fn handle(
        &self,
        request: &mut Parts,
    ) -> impl Future<Output = ControlFlow<Response<Body>>> + Send;

    /// The synchronous form of [`handle`](Self::handle), which is called first and costs less. Closures implement it.
    ///
    /// The default returns `None`, which says that nothing has been done yet, and that `handle` has to be called.
    fn handle_now(&self, _request: &mut Parts) -> Option<ControlFlow<Response<Body>>> {
        None
    }
}

impl<F> Middleware for F
where
    F: Fn(&mut Parts) -> ControlFlow<Response<Body>> + Send + Sync + 'static,
{
    fn handle(
        &self,
        request: &mut Parts,
    ) -> impl Future<Output = ControlFlow<Response<Body>>> + Send {
        ready(self(request))
    }

    fn handle_now(&self, request: &mut Parts) -> Option<ControlFlow<Response<Body>>> {
        Some(self(request))
    }
}

/// Makes middleware from an `async fn(&mut Parts) -> ControlFlow<Response<Body>>`.
pub const fn from_async_fn<F>(function: F) -> FromAsyncFn<F>
where
    F: for<'a> AsyncHandle<'a>,
{
    FromAsyncFn { function }
}

/// Middleware made by [`from_async_fn`].
#[derive(Clone, Copy)]
pub struct FromAsyncFn<F> {
    function: F,
}

impl<F> Middleware for FromAsyncFn<F>
where
    F: for<'a> AsyncHandle<'a>,
{
    fn handle(
        &self,
        request: &mut Parts,
    ) -> impl Future<Output = ControlFlow<Response<Body>>> + Send {
        self.function.handle(request)
    }
}

impl<F> fmt::Debug for FromAsyncFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromAsyncFn")
            .field("function", &type_name::<F>())
            .finish()
    }
}

/// An asynchronous function whose future is `Send`, a bound that `AsyncFn` cannot express.
pub trait AsyncHandle<'a>: Send + Sync + 'static {
    /// The future that the function returns.
    type Future: Future<Output = ControlFlow<Response<Body>>> + Send;

    /// Calls the function.
    fn handle(&self, request: &'a mut Parts) -> Self::Future;
}

impl<'a, F, Fut> AsyncHandle<'a> for F
where
    F: Fn(&'a mut Parts) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ControlFlow<Response<Body>>> + Send + 'a,
{
    type Future = Fut;

    fn handle(&self, request: &'a mut Parts) -> Fut {
        self(request)
    }
}

/// Middleware in the order in which it runs.
#[derive(Default)]
pub(super) struct MiddlewareList(Vec<Box<dyn DynMiddleware>>);

/// How far the middleware has come without waiting.
pub(super) enum Handled {
    /// Past all middleware, or to the first that has responded.
    Complete(ControlFlow<Response<Body>>),
    /// To the middleware with this index, which may have to wait.
    MayWait(usize),
}

/// A [`Middleware`] as a trait object.
trait DynMiddleware: Send + Sync {
    fn handle<'a>(
        &'a self,
        request: &'a mut Parts,
    ) -> Pin<Box<dyn Future<Output = ControlFlow<Response<Body>>> + Send + 'a>>;

    fn handle_now(&self, request: &mut Parts) -> Option<ControlFlow<Response<Body>>>;
}

impl<M: Middleware> DynMiddleware for M {
    fn handle<'a>(
        &'a self,
        request: &'a mut Parts,
    ) -> Pin<Box<dyn Future<Output = ControlFlow<Response<Body>>> + Send + 'a>> {
        Box::pin(Middleware::handle(self, request))
    }

    fn handle_now(&self, request: &mut Parts) -> Option<ControlFlow<Response<Body>>> {
        Middleware::handle_now(self, request)
    }
}

impl MiddlewareList {
    pub(super) fn push(&mut self, middleware: impl Middleware) {
        self.0.push(Box::new(middleware));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs the middleware, up to the first that may have to wait.
    pub(super) fn handle_now(&self, request: &mut Parts) -> Handled {
        self.handle_from(0, request)
    }

    /// Runs the middleware from the index `next` on, and waits where it waits.
    pub(super) async fn handle(
        &self,
        mut next: usize,
        request: &mut Parts,
    ) -> ControlFlow<Response<Body>> {
        loop {
            self.0[next].handle(request).await?;
            match self.handle_from(next + 1, request) {
                Handled::Complete(outcome) => return outcome,
                Handled::MayWait(index) => next = index,
            }
        }
    }

    fn handle_from(&self, first: usize, request: &mut Parts) -> Handled {
        for (index, middleware) in self.0.iter().enumerate().skip(first) {
            match middleware.handle_now(request) {
                Some(ControlFlow::Continue(())) => {}
                Some(response) => return Handled::Complete(response),
                None => return Handled::MayWait(index),
            }
        }
        Handled::Complete(ControlFlow::Continue(()))
    }
}

impl fmt::Debug for MiddlewareList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareList")
            .field("len", &self.0.len())
            .finish()
    }
}
