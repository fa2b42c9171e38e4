use std::{any::type_name, fmt, future::ready, ops::ControlFlow, pin::Pin};

use http::{Response, request::Parts};

use crate::Body;

/// Looks at the head of a request before its body is read, may change it, and may answer.
///
/// Closures `Fn(&mut Parts) -> ControlFlow<Response<Body>>` are middleware, and [`from_async_fn`]
/// makes one of an asynchronous function. They run on the event loop and must not block. See the
/// [module docs](super).
pub trait Middleware: Send + Sync + 'static {
    /// Answers with `Break`; lets the request go on with `Continue`.
    fn handle(
        &self,
        request: &mut Parts,
    ) -> impl Future<Output = ControlFlow<Response<Body>>> + Send;

    /// The same, of a middleware that never waits, as closures are. It is asked first, and costs less.
    ///
    /// `None`, which is the default: [`handle`](Self::handle) is to be called, and nothing is done yet.
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

/// Makes a middleware of an `async fn(&mut Parts) -> ControlFlow<Response<Body>>`.
pub const fn from_async_fn<F>(function: F) -> FromAsyncFn<F>
where
    F: for<'a> AsyncHandle<'a>,
{
    FromAsyncFn { function }
}

/// A middleware made by [`from_async_fn`].
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

/// An asynchronous function whose future is `Send`. `AsyncFn` cannot say that about its future.
pub trait AsyncHandle<'a>: Send + Sync + 'static {
    /// What the function returns.
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

/// Some middleware, in the order in which they run.
#[derive(Default)]
pub(super) struct List(Vec<Box<dyn Boxed>>);

/// How far a request has come without waiting.
pub(super) enum Way {
    /// Past all middleware, or to the first answer.
    Done(ControlFlow<Response<Body>>),
    /// To this middleware, which may have to wait.
    At(usize),
}

trait Boxed: Send + Sync {
    fn handle<'a>(
        &'a self,
        request: &'a mut Parts,
    ) -> Pin<Box<dyn Future<Output = ControlFlow<Response<Body>>> + Send + 'a>>;

    fn handle_now(&self, request: &mut Parts) -> Option<ControlFlow<Response<Body>>>;
}

impl<M: Middleware> Boxed for M {
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

impl List {
    pub(super) fn push(&mut self, middleware: impl Middleware) {
        self.0.push(Box::new(middleware));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn handle_now(&self, request: &mut Parts) -> Way {
        self.handle_from(0, request)
    }

    /// Goes on at this middleware. Gives the first answer, if there is one.
    pub(super) async fn handle(
        &self,
        mut next: usize,
        request: &mut Parts,
    ) -> ControlFlow<Response<Body>> {
        loop {
            self.0[next].handle(request).await?;
            match self.handle_from(next + 1, request) {
                Way::Done(done) => return done,
                Way::At(waits) => next = waits,
            }
        }
    }

    fn handle_from(&self, first: usize, request: &mut Parts) -> Way {
        for (index, middleware) in self.0.iter().enumerate().skip(first) {
            match middleware.handle_now(request) {
                Some(ControlFlow::Continue(())) => {}
                Some(answer) => return Way::Done(answer),
                None => return Way::At(index),
            }
        }
        Way::Done(ControlFlow::Continue(()))
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("len", &self.0.len()).finish()
    }
}
