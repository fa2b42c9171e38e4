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
use http::{Method, Request, Response, uri::PathAndQuery};
use tower_blocking::internal::{Rejection, Writer};
use tower_service::Service;

use super::{
    Application, Environ, Input, ResponseBody, StartResponse,
    chunks::{Chunks, warn_of_excess},
    environ::Server,
    file::FileBody,
    left::{Fit, Left},
    sending::{Returned, Sending, Shared},
};
use crate::{Body, BoxError};

const NOT_STARTED: &str =
    "the application gave a body, or none, without a call of start_response that succeeded";

/// An [`Application`] as a service. See the [module docs](super).
pub struct WsgiService<A> {
    application: Arc<A>,
    pub(super) server: Arc<Server>,
}

impl<A> WsgiService<A> {
    /// A service that calls `application` where it is called itself, and iterates over its body where that
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

    /// `SCRIPT_NAME`: the path at which the application is mounted, as `/shop`, empty by default. Where a
    /// path starts with it, `PATH_INFO` is what comes after; other paths are left as they are, since a
    /// proxy may have cut it off.
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
        let (parts, body) = request.into_parts();
        let shared = Shared::new(&parts.method);
        let asked = (parts.method.clone(), parts.uri.path_and_query().cloned());
        let environ = Environ::new(parts, Input::new(body), Arc::clone(&self.server));
        let response = answer(&*self.application, environ, &shared).unwrap_or_else(|error| {
            if shared.is_client_gone() && is_broken_pipe(&*error) {
                not_sent(&*error);
            } else {
                log(&*error, &asked);
            }
            Rejection::FAILED.into_response().map(ResponseBody::plain)
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

/// Calls the application, and asks for its first piece: the head goes with that.
fn answer<A: Application>(
    application: &A,
    environ: Environ,
    shared: &Arc<Shared>,
) -> Result<Response<ResponseBody<A::Chunks>>, BoxError> {
    let sending = Sending(Arc::clone(shared));
    let chunks = application.call(environ, StartResponse::new(shared))?;
    let is_complete = match shared.returned() {
        Returned::File(file) => {
            drop(chunks);
            return send_file(shared, file);
        }
        Returned::Complete => true,
        Returned::Pieces => false,
    };
    let mut chunks = Chunks::new(sending, chunks);
    let first = if is_complete {
        None
    } else {
        ask(shared, &mut chunks)?
    };
    let begin = shared.begin();
    let Some(mut head) = begin.head else {
        if begin.is_written {
            return write(shared, first, chunks);
        }
        return Err(NOT_STARTED.into());
    };
    let left = Left::new(head.content_length);
    let is_empty = first.is_none();
    chunks.begin(first, left);
    if !begin.has_body {
        // Nobody has counted what was written.
        let length = chunks.size_hint().exact();
        let length = length.filter(|_| !is_empty && !begin.was_written);
        length.inspect(|length| head.announce(*length));
        chunks.discard();
    } else if is_empty {
        left.end()?;
    } else if left.is_complete() {
        // A server has no reason to look at a body of this length.
        warn_of_excess();
        chunks.discard();
    }
    let body = match chunks.take_whole() {
        Some(whole) => ResponseBody::plain(whole.into()),
        None => ResponseBody::chunks(chunks),
    };
    Ok(head.respond(body))
}

/// The next piece, unless `write` has sent all that there is to send.
fn next<C>(shared: &Shared, chunks: &mut Chunks<C>) -> Result<Option<Bytes>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    if shared.is_complete() {
        return Ok(None);
    }
    ask(shared, chunks)
}

fn ask<C>(shared: &Shared, chunks: &mut Chunks<C>) -> Result<Option<Bytes>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    match chunks.next().transpose() {
        Err(error) if shared.is_complete() => {
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
    shared: &Shared,
    mut file: FileBody,
) -> Result<Response<ResponseBody<C>>, BoxError> {
    let begin = shared.begin();
    let mut head = begin.head.ok_or(NOT_STARTED)?;
    if let Some(length) = head.content_length {
        file.limit(length)?;
    }
    if !begin.has_body {
        head.announce(file.len());
        return Ok(head.respond(ResponseBody::plain(Body::empty())));
    }
    let body = Body::new(file);
    match &shared.early {
        // The event loop reads the file; a pool's thread has nothing to do with it.
        Some(early) => {
            early.answer(head.respond(body));
            Ok(answered())
        }
        None => Ok(head.respond(ResponseBody::plain(body))),
    }
}

/// The response is on its way, by `write`: what the application has returned goes the same way.
fn write<C>(
    shared: &Shared,
    first: Option<Bytes>,
    mut chunks: Chunks<C>,
) -> Result<Response<ResponseBody<C>>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    let mut piece = first;
    while let Some(bytes) = piece {
        if shared.write(bytes)? == Fit::Cut {
            warn_of_excess();
        }
        piece = next(shared, &mut chunks)?;
    }
    shared.left().end()?;
    // Before the application closes: the client need not wait for that.
    shared.end(Writer::finish);
    drop(chunks);
    Ok(answered())
}

/// Nobody sees it: the request is answered already.
fn answered<C>() -> Response<ResponseBody<C>> {
    Response::new(ResponseBody::plain(Body::empty()))
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let own = error.downcast_ref().map(io::Error::kind);
    own == Some(io::ErrorKind::BrokenPipe) || error.source().is_some_and(is_broken_pipe)
}

fn not_sent(error: &(dyn Error + 'static)) {
    tracing::debug!(error, "a response body was not sent to its end");
}

fn log(error: &(dyn Error + 'static), (method, target): &(Method, Option<PathAndQuery>)) {
    tracing::error!(
        error,
        %method,
        path = target.as_ref().map_or("", PathAndQuery::path),
        "the application failed",
    );
}
