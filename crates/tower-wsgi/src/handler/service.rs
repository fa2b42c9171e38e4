//! `WsgiHandler`, and the same with a type that can be named.

use std::{
    convert::Infallible,
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use tower::util::BoxCloneSyncService;
use tower_blocking::internal::ResponseMiddlewareList;
use tower_service::Service;

use super::{
    future::{RequestContext, ResponseFuture},
    middleware::{Handled, MiddlewareList},
};
use crate::{Body, BoxError};

/// A finished handler: middleware, the wait for the body, handlers, response middleware. See the
/// [module docs](super).
///
/// The type parameter depends on the parts that the handler was built of. Where a type has to be written, as in a
/// struct, use [`boxed`](Self::boxed).
#[derive(Clone, Debug)]
pub struct WsgiHandler<S = ()> {
    pub(super) inner: S,
    pub(super) stack: Arc<Stack>,
}

/// The middleware on both sides of the handlers.
#[derive(Debug, Default)]
pub(super) struct Stack {
    pub(super) middleware: MiddlewareList,
    pub(super) response_middleware: ResponseMiddlewareList,
}

impl<S> WsgiHandler<S> {
    /// The same handler with a type that can be named, at the price of a box for each call.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower_wsgi::{
    ///     Body, blocking::BlockingPool,
    ///     handler::{BoxWsgiHandler, WsgiHandler},
    /// };
    ///
    /// struct Site {
    ///     pages: BoxWsgiHandler,
    /// }
    ///
    /// let pages = WsgiHandler::builder()
    ///     .blocking(&BlockingPool::new(10), |_: &mut Request<Body>| Response::new(Body::from("hello")))
    ///     .build();
    /// let site = Site { pages: pages.boxed() };
    /// # let _ = site.pages;
    /// ```
    #[must_use]
    pub fn boxed<B>(self) -> BoxWsgiHandler<B>
    where
        S: Service<Request<B>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Send + 'static,
    {
        BoxWsgiHandler(BoxCloneSyncService::new(self))
    }
}

impl<S, B> Service<Request<B>> for WsgiHandler<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    // The inner service is a chain or a `WaitForBody` over one, and these are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = RequestContext::new(&request);
        let stack = &self.stack;
        if stack.middleware.is_empty() && stack.response_middleware.is_empty() {
            return ResponseFuture::calling(context, None, self.inner.call(request));
        }
        let (mut parts, body) = request.into_parts();
        // After a panic `parts` are not used any more, so it does not matter in which state it has left them.
        let handled = catch_unwind(AssertUnwindSafe(|| stack.middleware.handle_now(&mut parts)));
        match handled {
            Ok(Handled::Complete(outcome)) => {
                respond(&mut self.inner, stack, context, outcome, parts, body)
            }
            Ok(Handled::MayWait(index)) => {
                let request = Request::from_parts(parts, body);
                let (inner, stack) = (self.inner.clone(), Arc::clone(stack));
                let future = wait(index, inner, stack, context.clone(), request);
                ResponseFuture::waiting(context, Box::pin(future))
            }
            Err(panic) => {
                let response = context.panic(&*panic);
                ResponseFuture::responded(context, None, response)
            }
        }
    }
}

/// Handles a request from the middleware `first` on, which may have to wait.
async fn wait<S, B>(
    first: usize,
    mut inner: S,
    stack: Arc<Stack>,
    context: RequestContext,
    request: Request<B>,
) -> Response<Body>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let outcome = stack.middleware.handle(first, &mut parts).await;
    let Ok(response) = respond(&mut inner, &stack, context, outcome, parts, body).await;
    response
}

/// Handles a request after its last middleware.
fn respond<S, B>(
    inner: &mut S,
    stack: &Stack,
    context: RequestContext,
    outcome: ControlFlow<Response<Body>>,
    parts: Parts,
    body: B,
) -> ResponseFuture<S::Future>
where
    S: Service<Request<B>>,
{
    let edits = stack.response_middleware.edits(&parts);
    match outcome {
        ControlFlow::Break(response) => ResponseFuture::responded(context, edits, response),
        ControlFlow::Continue(()) => {
            let future = inner.call(Request::from_parts(parts, body));
            ResponseFuture::calling(context, edits, future)
        }
    }
}

/// A [`WsgiHandler`] whose type does not depend on its parts, made by [`WsgiHandler::boxed`].
pub struct BoxWsgiHandler<B = Body>(BoxCloneSyncService<Request<B>, Response<Body>, Infallible>);

impl<B> Service<Request<B>> for BoxWsgiHandler<B> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <BoxCloneSyncService<Request<B>, Response<Body>, Infallible> as Service<
        Request<B>,
    >>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.call(request)
    }
}

impl<B> Clone for BoxWsgiHandler<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for BoxWsgiHandler<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxWsgiHandler").finish_non_exhaustive()
    }
}
