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

use http::{HeaderValue, Method, Request, Response, header::ACCEPT, uri::PathAndQuery};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{WsgiHandlerBuilder, error_page, middleware};
use crate::{Body, BoxError, rejection::Rejection, response_middleware};

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
    pub(super) response_middleware: response_middleware::List,
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
                state: State::Plain {
                    future: self.inner.call(request),
                },
            };
        }
        let future = with_middleware(
            self.inner.clone(),
            Arc::clone(&self.shared),
            asked.clone(),
            request,
        );
        ResponseFuture {
            asked,
            state: State::WithMiddleware {
                future: Box::pin(future),
            },
        }
    }
}

async fn with_middleware<S, B>(
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
    let answered = shared.middleware.handle(&mut parts).await;
    let head = (!shared.response_middleware.is_empty()).then(|| parts.clone());
    let response = match answered {
        ControlFlow::Break(response) => response,
        ControlFlow::Continue(()) => {
            let plain = ResponseFuture::<S::Future> {
                asked,
                state: State::Plain {
                    future: inner.call(Request::from_parts(parts, body)),
                },
            };
            let Ok(response) = plain.await;
            response
        }
    };
    match head {
        Some(head) => shared.response_middleware.edit(&head, response).await,
        None => response,
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

    fn render(&self, response: Response<Body>) -> Response<Body> {
        error_page::render(self.accept.as_ref(), response)
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
        #[pin]
        state: State<Fut>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<Fut> {
        Plain { #[pin] future: Fut },
        WithMiddleware { future: Pin<Box<dyn Future<Output = Response<Body>> + Send>> },
    }
}

impl<Fut, E> Future for ResponseFuture<Fut>
where
    Fut: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // After a panic the future is not polled again, so nobody sees what it left half done.
        let poll = catch_unwind(AssertUnwindSafe(|| match this.state.project() {
            StateProj::Plain { future } => future.poll(cx).map_err(Into::into),
            StateProj::WithMiddleware { future } => future.as_mut().poll(cx).map(Ok),
        }));
        let response = match poll {
            Ok(poll) => ready!(poll).unwrap_or_else(|error| this.asked.error(&error)),
            Err(panic) => this.asked.panic(&*panic),
        };
        Poll::Ready(Ok(this.asked.render(response)))
    }
}

impl<Fut> fmt::Debug for ResponseFuture<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
