//! Calls an application, and makes the head of its response with the first piece.

use std::{
    error::Error,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Response;

use super::{
    Application, Deferred, Environ, Reply, ResponseBody, StartResponse,
    body::{Chunks, Pieces, warn_of_excess},
    file::FileBody,
    head::Truncated,
    response_state::{Beginning, Returned},
    shared_response::{ResponseGuard, SharedResponse},
};
use crate::{Body, BoxError};

const NOT_STARTED: &str = "the application returned without a successful call of start_response";

/// What the call of an application has led to.
pub(super) enum Responded<C> {
    Now(Response<ResponseBody<C>>),
    Later(ResponseGuard, Deferred),
}

/// Calls the application, and asks for its first piece, with which the head is sent, unless the response is deferred.
pub(super) fn respond<A: Application>(
    application: &A,
    environ: Environ,
    response: &Arc<SharedResponse>,
) -> Result<Responded<A::Chunks>, BoxError> {
    let guard = ResponseGuard(Arc::clone(response));
    let chunks = match application.call(environ, StartResponse::new(response))? {
        Reply::Chunks(chunks) => chunks,
        Reply::Deferred(deferred) => return Ok(Responded::Later(guard, deferred)),
    };
    let returned = response.returned();
    if let Returned::File(file) = returned {
        drop(chunks);
        let file = send_file(response, file)?;
        // The event loop reads the file, without a thread of the pool.
        return Ok(Responded::Now(match &response.early {
            Some(early) => {
                early.send(file);
                already_sent()
            }
            None => file.map(ResponseBody::plain),
        }));
    }
    let mut chunks = Chunks::new(guard, chunks);
    let first = match returned {
        Returned::Nothing => None,
        _ => next(response, &mut chunks)?,
    };
    match response.begin() {
        Beginning::Streaming => write(response, first, chunks),
        beginning => begin(beginning, first, chunks),
    }
    .map(Responded::Now)
}

/// The response that begins with the first piece, or that has none.
// Otherwise large values are copied to call it.
#[inline]
pub(super) fn begin<C: Pieces>(
    beginning: Beginning,
    first: Option<Bytes>,
    mut chunks: Chunks<C>,
) -> Result<Response<ResponseBody<C>>, BoxError> {
    let Beginning::Head {
        mut head,
        has_body,
        was_written,
    } = beginning
    else {
        return Err(NOT_STARTED.into());
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
#[inline]
fn next<C>(response: &SharedResponse, chunks: &mut Chunks<C>) -> Result<Option<Bytes>, BoxError>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    // An iterator is never pending.
    let mut cx = Context::from_waker(Waker::noop());
    let next = match chunks.poll_next(&mut cx) {
        Poll::Ready(next) => next,
        Poll::Pending => None,
    };
    match next.transpose() {
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

/// The response whose body is a file.
pub(super) fn send_file(
    response: &SharedResponse,
    mut file: FileBody,
) -> Result<Response<Body>, BoxError> {
    let Beginning::Head {
        mut head, has_body, ..
    } = response.begin()
    else {
        return Err(NOT_STARTED.into());
    };
    if let Some(length) = head.content_length {
        file.limit(length)?;
    }
    if has_body {
        return Ok(head.respond(Body::new(file)));
    }
    head.announce(file.len());
    Ok(head.respond(Body::empty()))
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
pub(super) fn already_sent<C>() -> Response<ResponseBody<C>> {
    Response::new(ResponseBody::plain(Body::empty()))
}
