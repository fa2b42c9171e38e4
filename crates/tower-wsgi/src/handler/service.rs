use std::{
    any::Any,
    convert::Infallible,
    error::Error,
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderValue, Method, Request, Response, header::ACCEPT, request::Parts, uri::PathAndQuery,
};
use pin_project_lite::pin_project;
use tower_blocking::internal::{Edited, Edits, List, Rejection, Waiting, render_error};
use tower_service::Service;

use super::{
    WsgiHandlerBuilder,
    middleware::{self, Way},
};
use crate::{Body, BoxError};

/// A finished handler: middleware, the wait for the body, handlers, response middleware. See the
/// [module docs](super).
#[derive(Clone, Debug)]
pub struct WsgiHandler<S = ()> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) middleware: middleware::List,
    pub(super) response_middleware: List,
}

impl WsgiHandler {
    /// Starts with a handler that answers every request with 404.
    pub fn builder() -> WsgiHandlerBuilder {
        WsgiHandlerBuilder::new()
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
        let asked = Asked::new(&request);
        let shared = &self.shared;
        if shared.middleware.is_empty() && shared.response_middleware.is_empty() {
            return ResponseFuture {
                asked,
                edits: None,
                state: State::Calling {
                    future: self.inner.call(request),
                },
            };
        }
        let (mut parts, body) = request.into_parts();
        // After a panic nobody looks at what it left half done.
        let way = catch_unwind(AssertUnwindSafe(|| {
            shared.middleware.handle_now(&mut parts)
        }));
        let answered = match way {
            Ok(Way::Done(answered)) => answered,
            Ok(Way::At(waits)) => {
                let request = Request::from_parts(parts, body);
                let (inner, shared) = (self.inner.clone(), Arc::clone(shared));
                let future = wait(waits, inner, shared, asked.clone(), request);
                return ResponseFuture {
                    asked,
                    edits: None,
                    state: State::Waiting {
                        future: Box::pin(future),
                    },
                };
            }
            Err(panic) => {
                let response = asked.panic(&*panic);
                return ResponseFuture {
                    asked,
                    edits: None,
                    state: State::answered(response),
                };
            }
        };
        respond(&mut self.inner, &self.shared, asked, answered, parts, body)
    }
}

/// The way of a request from the middleware that may have to wait on.
async fn wait<S, B>(
    first: usize,
    mut inner: S,
    shared: Arc<Shared>,
    asked: Asked,
    request: Request<B>,
) -> Response<Body>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let answered = shared.middleware.handle(first, &mut parts).await;
    let Ok(response) = respond(&mut inner, &shared, asked, answered, parts, body).await;
    response
}

/// The way of a request from the last middleware on.
fn respond<S, B>(
    inner: &mut S,
    shared: &Shared,
    asked: Asked,
    answered: ControlFlow<Response<Body>>,
    parts: Parts,
    body: B,
) -> ResponseFuture<S::Future>
where
    S: Service<Request<B>>,
{
    let edits = shared.response_middleware.edits(&parts);
    let state = match answered {
        ControlFlow::Break(response) => State::answered(response),
        ControlFlow::Continue(()) => State::Calling {
            future: inner.call(Request::from_parts(parts, body)),
        },
    };
    ResponseFuture {
        asked,
        edits,
        state,
    }
}

/// What an error page and the log need to know of a request.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    target: Option<PathAndQuery>,
    accept: Option<HeaderValue>,
}

impl Asked {
    fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            accept: request.headers().get(ACCEPT).cloned(),
        }
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    fn render(&self, response: &mut Response<Body>) {
        render_error(self.accept.as_ref(), response);
    }

    fn error(&self, error: &BoxError) -> Response<Body> {
        tracing::error!(
            error = &**error as &dyn Error,
            method = %self.method,
            path = self.path(),
            "the handler failed",
        );
        Rejection::FAILED.into_response()
    }

    fn panic(&self, panic: &(dyn Any + Send)) -> Response<Body> {
        let text = panic.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            panic = text.unwrap_or("of an unknown kind"),
            method = %self.method,
            path = self.path(),
            "the handler panicked",
        );
        Rejection::FAILED.into_response()
    }
}

pin_project! {
    /// The response of a [`WsgiHandler`].
    pub struct ResponseFuture<Fut> {
        asked: Asked,
        // To be made when there is a response.
        edits: Option<Edits>,
        #[pin]
        state: State<Fut>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<Fut> {
        Calling { #[pin] future: Fut },
        Answered { response: Option<Response<Body>> },
        // For middleware, on the way in or out.
        Waiting { future: Waiting<'static> },
    }
}

impl<Fut> State<Fut> {
    fn answered(response: Response<Body>) -> Self {
        Self::Answered {
            response: Some(response),
        }
    }
}

impl<Fut, E> State<Fut>
where
    Fut: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    fn poll_response(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Body>, BoxError>> {
        match self.project() {
            StateProj::Calling { future } => future.poll(cx).map_err(Into::into),
            StateProj::Answered { response } => {
                Poll::Ready(Ok(response.take().expect("future polled after completion")))
            }
            StateProj::Waiting { future } => future.as_mut().poll(cx).map(Ok),
        }
    }
}

impl<Fut, E> Future for ResponseFuture<Fut>
where
    Fut: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            // After a panic the future is not polled again, so nobody sees what it left half done.
            let poll = catch_unwind(AssertUnwindSafe(|| this.state.as_mut().poll_response(cx)));
            let mut response = match poll {
                Ok(poll) => ready!(poll).unwrap_or_else(|error| this.asked.error(&error)),
                Err(panic) => this.asked.panic(&*panic),
            };
            this.asked.render(&mut response);
            let Some(edits) = this.edits.take() else {
                return Poll::Ready(Ok(response));
            };
            match catch_unwind(AssertUnwindSafe(|| edits.edit(response))) {
                Ok(Edited::Now(response)) => return Poll::Ready(Ok(response)),
                Ok(Edited::Later(future)) => this.state.set(State::Waiting { future }),
                Err(panic) => {
                    let mut response = this.asked.panic(&*panic);
                    this.asked.render(&mut response);
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

impl<Fut> fmt::Debug for ResponseFuture<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
