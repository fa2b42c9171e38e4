//! The response of a job: its body is produced on the thread, and read on the event loop.

use std::{
    any::Any,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt as _;

use super::{
    block_on::block_on,
    pipe::{Room, pipe},
};
use crate::{Body, BoxError, rejection::Rejection};

/// Sends the response, then goes on with its body. `send` says whether anybody is left to take it.
pub(super) fn answer<R>(
    response: Response<R>,
    room: &Room,
    send: impl FnOnce(Response<Body>) -> bool,
) where
    R: http_body::Body,
    R::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let mut body = pin!(body);
    let size = body.size_hint();
    // The first frame before the head: a body in one piece needs no pipe, and one that fails at once
    // can still be a 500. A body that has to wait for its first frame sends the head alone.
    let first = match poll_frame(body.as_mut()) {
        Poll::Ready(None) => {
            send(Response::from_parts(head, Body::empty()));
            return;
        }
        Poll::Ready(Some(Err(error))) => {
            tracing::error!(
                error = &*error as &dyn Error,
                "a response body failed before its first byte"
            );
            send(Rejection::FAILED.into_response());
            return;
        }
        Poll::Ready(Some(Ok(frame))) if body.is_end_stream() && frame.is_data() => {
            let bytes = frame.into_data().unwrap_or_default();
            send(Response::from_parts(head, Body::from(bytes)));
            return;
        }
        Poll::Ready(frame) => Some(frame),
        Poll::Pending => None,
    };
    let (mut writer, reader) = pipe(size, room);
    if !send(Response::from_parts(head, Body::new(reader))) {
        return;
    }
    let mut next = first.unwrap_or_else(|| next_frame(body.as_mut()));
    loop {
        match next {
            None => return writer.finish(),
            Some(Err(error)) => {
                tracing::error!(
                    error = &*error as &dyn Error,
                    "a response body failed in the middle"
                );
                return writer.fail(error);
            }
            Some(Ok(frame)) => {
                if let Err(error) = writer.send(frame) {
                    tracing::debug!(%error, "a response body was not sent to its end");
                    return;
                }
            }
        }
        next = next_frame(body.as_mut());
    }
}

type Next = Option<Result<Frame<Bytes>, BoxError>>;

/// The next frame, waiting for it. A panic of the body is its error.
fn next_frame<R>(mut body: Pin<&mut R>) -> Next
where
    R: http_body::Body,
    R::Error: Into<BoxError>,
{
    let frame = || block_on(pin!(body.frame()));
    catch_unwind(AssertUnwindSafe(frame)).map_or_else(panicked, |frame| frame.map(convert))
}

/// The next frame if it is there.
fn poll_frame<R>(body: Pin<&mut R>) -> Poll<Next>
where
    R: http_body::Body,
    R::Error: Into<BoxError>,
{
    let poll = || body.poll_frame(&mut Context::from_waker(Waker::noop()));
    catch_unwind(AssertUnwindSafe(poll)).map_or_else(
        |panic| Poll::Ready(panicked(panic)),
        |frame| frame.map(|frame| frame.map(convert)),
    )
}

fn convert<D, E>(frame: Result<Frame<D>, E>) -> Result<Frame<Bytes>, BoxError>
where
    D: bytes::Buf,
    E: Into<BoxError>,
{
    frame
        .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        .map_err(Into::into)
}

fn panicked(_: Box<dyn Any + Send>) -> Next {
    Some(Err("the response body panicked".into()))
}
