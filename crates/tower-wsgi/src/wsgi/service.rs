//! `WsgiService`: calls an application, and makes a response of what it gives.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, uri::PathAndQuery};
use tower_blocking::internal::{EarlyResponse, application_failed};
use tower_service::Service;

use super::{
    Application, Environ, Input, ResponseBody, StartResponse,
    body::{Chunks, warn_of_excess},
    environ::Server,
    file::FileBody,
    head::Truncated,
    response_state::{Beginning, Returned},
    shared_response::{ResponseGuard, SharedResponse},
};
use crate::{Body, BoxError};

const NOT_STARTED: &str = "the application returned without a successful call of start_response";

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
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let early = parts.extensions.remove::<EarlyResponse>();
        let shared = SharedResponse::new(&parts.method, early);
        let (method, target) = (parts.method.clone(), parts.uri.path_and_query().cloned());
        let environ = Environ::new(parts, Input::new(body), Arc::clone(&self.server));
        let response = respond(&*self.application, environ, &shared).unwrap_or_else(|error| {
            if shared.is_client_gone() && is_broken_pipe(&*error) {
                tracing::debug!(
                    error = &*error as &dyn Error,
                    "a response body was not sent to its end",
                );
            } else {
                tracing::error!(
                    error = &*error as &dyn Error,
                    %method,
                    path = target.as_ref().map_or("", PathAndQuery::path),
                    "the application failed",
                );
            }
            application_failed().map(ResponseBody::plain)
        });
        ready(Ok(response))
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

/// Calls the application, and asks for its first piece, with which the head is sent.
fn respond<A: Application>(
    application: &A,
    environ: Environ,
    response: &Arc<SharedResponse>,
) -> Result<Response<ResponseBody<A::Chunks>>, BoxError> {
    let guard = ResponseGuard(Arc::clone(response));
    let chunks = application.call(environ, StartResponse::new(response))?;
    let returned = response.returned();
    if let Returned::File(file) = returned {
        drop(chunks);
        return send_file(response, file);
    }
    let mut chunks = Chunks::new(guard, chunks);
    let first = match returned {
        Returned::Nothing => None,
        _ => next(response, &mut chunks)?,
    };
    let (mut head, has_body, was_written) = match response.begin() {
        Beginning::NotStarted => return Err(NOT_STARTED.into()),
        Beginning::Streaming => return write(response, first, chunks),
        Beginning::Head {
            head,
            has_body,
            was_written,
        } => (head, has_body, was_written),
    };
    let budget = head.budget();
    let is_empty = first.is_none();
    chunks.begin(first, budget);
    if !has_body {
        // The length of what was written is not known.
        let length = chunks.size_hint().exact();
        let length = length.filter(|_| !is_empty && !was_written);
        length.inspect(|length| head.announce(*length));
        chunks.discard();
    } else if is_empty {
        budget.end()?;
    } else if budget.is_complete() {
        // The server does not poll a body of this length.
        warn_of_excess();
        chunks.discard();
    }
    let body = match chunks.take_whole() {
        Some(whole) => ResponseBody::plain(whole.into()),
        None => ResponseBody::chunks(chunks),
    };
    Ok(head.respond(body))
}

/// The next piece. An error after all that the `Content-Length` says was written is logged, and is the end.
fn next<C>(response: &SharedResponse, chunks: &mut Chunks<C>) -> Result<Option<Bytes>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    match chunks.next().transpose() {
        Err(error) if response.is_complete() => {
            tracing::error!(
                error = &*error as &dyn Error,
                "the application failed after its whole response",
            );
            Ok(None)
        }
        next => next,
    }
}

fn send_file<C>(
    response: &SharedResponse,
    mut file: FileBody,
) -> Result<Response<ResponseBody<C>>, BoxError> {
    let Beginning::Head {
        mut head, has_body, ..
    } = response.begin()
    else {
        return Err(NOT_STARTED.into());
    };
    if let Some(length) = head.content_length {
        file.limit(length)?;
    }
    if !has_body {
        head.announce(file.len());
        return Ok(head.respond(ResponseBody::plain(Body::empty())));
    }
    let body = Body::new(file);
    match &response.early {
        // The event loop reads the file, without a thread of the pool.
        Some(early) => {
            early.send(head.respond(body));
            Ok(already_sent())
        }
        None => Ok(head.respond(ResponseBody::plain(body))),
    }
}

/// `write` has sent the head: what the application has returned is written as well.
fn write<C>(
    response: &SharedResponse,
    first: Option<Bytes>,
    mut chunks: Chunks<C>,
) -> Result<Response<ResponseBody<C>>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    let mut piece = first;
    while let Some(bytes) = piece {
        if let Some(Truncated) = response.write(bytes)? {
            warn_of_excess();
        }
        piece = if response.is_complete() {
            None
        } else {
            next(response, &mut chunks)?
        };
    }
    // Before the application is closed: the client does not have to wait for that.
    response.finish()?;
    drop(chunks);
    Ok(already_sent())
}

/// The result of a job that has sent its response early. It is dropped.
fn already_sent<C>() -> Response<ResponseBody<C>> {
    Response::new(ResponseBody::plain(Body::empty()))
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let own = error.downcast_ref().map(io::Error::kind);
    own == Some(io::ErrorKind::BrokenPipe) || error.source().is_some_and(is_broken_pipe)
}
