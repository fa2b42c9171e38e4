use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Response};
use pin_project_lite::pin_project;
use pyo3::prelude::*;
use tower_wsgi::{
    Body,
    blocking::Blocking,
    wait_for_body,
    wsgi::{WsgiService, render_error},
};

use crate::callable::Callable;

type OnPool = wait_for_body::ResponseFuture<Blocking<WsgiService<Callable>>>;
type OnLoop = wait_for_body::ResponseFuture<WsgiService<Callable>>;

pin_project! {
    /// The response of a [`PythonApp`](crate::PythonApp).
    pub struct ResponseFuture {
        #[pin]
        place: Place,
        // The form of an error page.
        accept: Option<HeaderValue>,
    }
}

pin_project! {
    #[project = PlaceProj]
    enum Place {
        Pool { #[pin] future: OnPool },
        Loop { #[pin] future: OnLoop },
    }
}

impl ResponseFuture {
    pub(crate) fn pool(future: OnPool, accept: Option<HeaderValue>) -> Self {
        Self {
            place: Place::Pool { future },
            accept,
        }
    }

    pub(crate) fn event_loop(future: OnLoop, accept: Option<HeaderValue>) -> Self {
        Self {
            place: Place::Loop { future },
            accept,
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut polled = match this.place.project() {
            PlaceProj::Pool { future } => future.poll(cx),
            // To attach once and not at each step is much faster.
            PlaceProj::Loop { future } => Python::attach(|_| future.poll(cx)),
        };
        if let Poll::Ready(Ok(response)) = &mut polled {
            render_error(this.accept.as_ref(), response);
        }
        polled
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
