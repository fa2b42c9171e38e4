//! `WsgiService`: calls an application, and makes a response of what it gives.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_blocking::internal::{DeferredResponse, EarlyResponse};
use tower_service::Service;

use super::{
    Application, Deferred, Environ, Input, ResponseBody,
    body::Chunks,
    deferred::DeferredHead,
    environ::Server,
    failure::FailedRequest,
    respond::{Responded, already_sent, respond},
    shared_response::{ResponseGuard, SharedResponse},
};
use crate::{Body, BoxError};

/// An [`Application`] as a service. See the [module docs](super).
pub struct WsgiService<A> {
    application: Arc<A>,
    pub(super) server: Arc<Server>,
}

impl<A> WsgiService<A> {
    /// A service that calls `application` when it is called itself, and iterates over its chunks when the response body
    /// is polled.
    #[must_use]
    pub fn new(application: A) -> Self {
        Self {
            application: Arc::new(application),
            server: Arc::new(Server {
                script_name: String::new(),
                multithread: true,
                multiprocess: true,
            }),
        }
    }

    /// `SCRIPT_NAME`: the path at which the application is mounted, such as `/shop`; empty by default. `PATH_INFO` is
    /// the rest of a path that starts with it. Other paths are not changed, because a proxy may have removed the prefix.
    ///
    /// With the feature `axum` it is not needed in a service that an axum `Router` nests, and a path that the router
    /// has removed is not removed again.
    #[must_use]
    pub fn script_name(mut self, path: &str) -> Self {
        let path = path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        self.server_mut().script_name = format!("{slash}{path}");
        self
    }

    /// `wsgi.multithread`: whether several threads may call the application at once. `true` by default.
    #[must_use]
    pub fn multithread(mut self, multithread: bool) -> Self {
        self.server_mut().multithread = multithread;
        self
    }

    /// `wsgi.multiprocess`: whether other processes run the same application. `true` by default.
    #[must_use]
    pub fn multiprocess(mut self, multiprocess: bool) -> Self {
        self.server_mut().multiprocess = multiprocess;
        self
    }

    /// The application.
    #[must_use]
    pub fn application(&self) -> &A {
        &self.application
    }

    fn server_mut(&mut self) -> &mut Server {
        Arc::make_mut(&mut self.server)
    }
}

impl<A, B> Service<Request<B>> for WsgiService<A>
where
    A: Application,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<A::Chunks>>;
    type Error = Infallible;
    type Future = WsgiFuture<A::Chunks>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let early = parts.extensions.remove::<EarlyResponse>();
        let shared = SharedResponse::new(&parts.method, early);
        let request = FailedRequest::new(&parts);
        let environ = Environ::new(parts, Input::new(body), Arc::clone(&self.server));
        WsgiFuture(match respond(&*self.application, environ, &shared) {
            Ok(Responded::Now(response)) => FutureState::Ready(Some(response)),
            Ok(Responded::Later(guard, deferred)) => defer(guard, deferred, request),
            Err(error) => {
                let response = request.fail(&shared, &*error);
                FutureState::Ready(Some(response.map(ResponseBody::plain)))
            }
        })
    }
}

impl<A> Clone for WsgiService<A> {
    fn clone(&self) -> Self {
        Self {
            application: Arc::clone(&self.application),
            server: Arc::clone(&self.server),
        }
    }
}

impl<A> fmt::Debug for WsgiService<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiService")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The response of a [`WsgiService`]. It is ready at once, unless the application has [deferred](super::Deferred) its
/// response and the service does not run on a pool of threads.
#[must_use]
pub struct WsgiFuture<C>(FutureState<C>);

enum FutureState<C> {
    Ready(Option<Response<ResponseBody<C>>>),
    Deferred(DeferredResponse),
}

impl<C> Future for WsgiFuture<C> {
    type Output = Result<Response<ResponseBody<C>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            FutureState::Ready(response) => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("future polled after completion")))
            }
            FutureState::Deferred(response) => {
                let response = response.as_mut().poll(cx);
                response.map(|response| Ok(response.map(ResponseBody::plain)))
            }
        }
    }
}

impl<C> fmt::Debug for WsgiFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiFuture").finish_non_exhaustive()
    }
}

/// Leaves a response to the event loop: as the rest of one that was begun, in place of the job's response, or to this
/// future.
fn defer<C>(
    guard: ResponseGuard,
    mut deferred: Deferred,
    request: FailedRequest,
) -> FutureState<C> {
    let response = Arc::clone(&guard.0);
    let continued = deferred.take_writer();
    let mut chunks = Chunks::new(guard, deferred);
    if let Some((writer, budget)) = continued {
        chunks.begin(None, budget);
        writer.continue_with(Body::new(ResponseBody::chunks(chunks)));
        return FutureState::Ready(Some(already_sent()));
    }
    let head = Box::pin(DeferredHead::new(chunks, request));
    match &response.early {
        Some(early) => {
            early.defer(head);
            FutureState::Ready(Some(already_sent()))
        }
        None => FutureState::Deferred(head),
    }
}
