//! The future of a `WsgiHandler`: calls, turns errors and panics into responses, and applies the response middleware.

use std::{
    any::Any,
    convert::Infallible,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Method, Request, Response, header::ACCEPT, uri::PathAndQuery};
use pin_project_lite::pin_project;
use tower_blocking::internal::{EditFuture, EditResult, ResponseEdits, application_failed};
use tower_server_info::ServerResponse;

use crate::{Body, BoxError};

/// What the responses to errors and the log need of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    method: Method,
    target: Option<PathAndQuery>,
    accept: Option<HeaderValue>,
}

impl RequestContext {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
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
        ServerResponse::negotiate(self.accept.as_ref(), response);
    }

    fn error(&self, error: &BoxError) -> Response<Body> {
        tracing::error!(
            error = &**error as &dyn Error,
            method = %self.method,
            path = self.path(),
            "the handler failed",
        );
        application_failed()
    }

    pub(super) fn panic(&self, panic: &(dyn Any + Send)) -> Response<Body> {
        let text = panic.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            panic = text.unwrap_or("of an unknown kind"),
            method = %self.method,
            path = self.path(),
            "the handler panicked",
        );
        application_failed()
    }
}

pin_project! {
    /// The response of a [`WsgiHandler`](super::WsgiHandler).
    pub struct ResponseFuture<Fut> {
        context: RequestContext,
        // Applied when there is a response.
        edits: Option<ResponseEdits>,
        #[pin]
        stage: Stage<Fut>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<Fut> {
        // The handlers run.
        Calling { #[pin] future: Fut },
        // Middleware has responded, or has panicked.
        Responded { response: Option<Response<Body>> },
        // Middleware waits, before or after the handlers.
        Waiting { future: EditFuture<'static> },
    }
}

impl<Fut> ResponseFuture<Fut> {
    pub(super) fn calling(
        context: RequestContext,
        edits: Option<ResponseEdits>,
        future: Fut,
    ) -> Self {
        Self {
            context,
            edits,
            stage: Stage::Calling { future },
        }
    }

    pub(super) fn responded(
        context: RequestContext,
        edits: Option<ResponseEdits>,
        response: Response<Body>,
    ) -> Self {
        Self {
            context,
            edits,
            stage: Stage::Responded {
                response: Some(response),
            },
        }
    }

    pub(super) fn waiting(context: RequestContext, future: EditFuture<'static>) -> Self {
        Self {
            context,
            edits: None,
            stage: Stage::Waiting { future },
        }
    }
}

impl<Fut, E> Stage<Fut>
where
    Fut: Future<Output = Result<Response<Body>, E>>,
    E: Into<BoxError>,
{
    fn poll_response(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Body>, BoxError>> {
        match self.project() {
            StageProj::Calling { future } => future.poll(cx).map_err(Into::into),
            StageProj::Responded { response } => {
                Poll::Ready(Ok(response.take().expect("future polled after completion")))
            }
            StageProj::Waiting { future } => future.as_mut().poll(cx).map(Ok),
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
            // After a panic the future is not polled again, so it does not matter in which state it was left.
            let poll = catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll_response(cx)));
            let mut response = match poll {
                Ok(poll) => ready!(poll).unwrap_or_else(|error| this.context.error(&error)),
                Err(panic) => this.context.panic(&*panic),
            };
            this.context.render(&mut response);
            let Some(edits) = this.edits.take() else {
                return Poll::Ready(Ok(response));
            };
            match catch_unwind(AssertUnwindSafe(|| edits.edit(response))) {
                Ok(EditResult::Ready(response)) => return Poll::Ready(Ok(response)),
                Ok(EditResult::Pending(future)) => this.stage.set(Stage::Waiting { future }),
                Err(panic) => {
                    let mut response = this.context.panic(&*panic);
                    this.context.render(&mut response);
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
