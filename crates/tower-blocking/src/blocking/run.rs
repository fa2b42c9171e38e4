//! Runs one request as a job: a service's call, its future, and its response body, on a thread of the pool.

use std::{
    any::Any,
    error::Error,
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt as _;

use super::{
    BlockingPool,
    block_on::block_on,
    job::{Job, RequestInfo, Ticket},
    pipe::{PipeBudget, pipe},
    reply::{EarlyReply, EarlyResponse, ReplyReceiver, ReplySlot, reply},
};
use crate::{Body, BoxError, rejection::Rejection};

const NO_THREAD: &str = "The server is too busy to answer the request just now.";

/// The result of a job: a response, or the request again from a handler that leaves it to the next one.
type Outcome<P, E> = Result<ControlFlow<Response<Body>, P>, E>;

enum Reply<P, E> {
    Outcome(Outcome<P, E>),
    Panic(Box<dyn Any + Send>),
}

impl<P: Send, E: Send> EarlyReply for ReplySlot<Reply<P, E>> {
    fn send_response(&self, response: Response<Body>) -> bool {
        self.send(Reply::Outcome(Ok(ControlFlow::Break(response))))
    }

    fn pipe_budget(&self) -> &PipeBudget {
        self.budget()
    }
}

/// Runs `work`, its future and its response body on the pool. `work` gets a function that makes an [`EarlyResponse`].
pub fn run<F, Fut, R, P, E>(pool: &BlockingPool, request: RequestInfo, work: F) -> JobFuture<P, E>
where
    F: FnOnce(&dyn Fn() -> EarlyResponse) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ControlFlow<Response<R>, P>, E>>,
    R: http_body::Body,
    R::Error: Into<BoxError>,
    P: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = reply(pool.pipe_budget());
    let span = tracing::Span::current();
    let work = Box::new(move || {
        span.in_scope(|| {
            let send = |reply| sender.send(reply);
            let early = || EarlyResponse::new(sender.slot());
            match catch_unwind(AssertUnwindSafe(|| block_on(pin!(work(&early))))) {
                Ok(Ok(ControlFlow::Break(response))) => {
                    send_response(response, sender.budget(), |response| {
                        send(Reply::Outcome(Ok(ControlFlow::Break(response))))
                    });
                }
                Ok(Ok(ControlFlow::Continue(request))) => {
                    send(Reply::Outcome(Ok(ControlFlow::Continue(request))));
                }
                Ok(Err(error)) => {
                    send(Reply::Outcome(Err(error)));
                }
                Err(panic) => {
                    if !send(Reply::Panic(panic)) {
                        tracing::error!("the service panicked after its client had left");
                    }
                }
            }
        });
    });
    let ticket = pool.submit(Job { request, work }).ok();
    JobFuture {
        waiting: ticket.map(|ticket| (receiver, ticket)),
    }
}

/// A job that waits or runs. If it is dropped while the job waits, the job leaves the queue.
pub struct JobFuture<P, E> {
    /// `None` if there was no room for the job.
    waiting: Option<(ReplyReceiver<Reply<P, E>>, Ticket)>,
}

impl<P, E> Future for JobFuture<P, E> {
    type Output = Outcome<P, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut reply = None;
        if let Some((receiver, _)) = &self.waiting {
            reply = ready!(receiver.poll(cx));
        }
        if let Some((_, ticket)) = self.waiting.take() {
            ticket.done();
        }
        Poll::Ready(match reply {
            Some(Reply::Outcome(outcome)) => outcome,
            Some(Reply::Panic(panic)) => resume_unwind(panic),
            // There was no room, the wait was too long, the pool was drained, or its runtime has ended.
            None => Ok(ControlFlow::Break(Rejection::try_again(NO_THREAD))),
        })
    }
}

impl<P, E> fmt::Debug for JobFuture<P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFuture").finish_non_exhaustive()
    }
}

/// Sends the response, then produces its body. `send` returns whether the response is awaited.
fn send_response<R>(
    response: Response<R>,
    budget: &PipeBudget,
    send: impl FnOnce(Response<Body>) -> bool,
) where
    R: http_body::Body,
    R::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let mut body = pin!(body);
    let size = body.size_hint();
    // The first frame is polled before the head is sent: a body in one piece needs no pipe, and one that fails at once
    // can still become a 500. If the body is not ready, the head is sent alone.
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
    let (mut writer, reader) = pipe(size, budget);
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

type NextFrame = Option<Result<Frame<Bytes>, BoxError>>;

/// Waits for the next frame. A panic of the body is its error.
fn next_frame<R>(mut body: Pin<&mut R>) -> NextFrame
where
    R: http_body::Body,
    R::Error: Into<BoxError>,
{
    let frame = || block_on(pin!(body.frame()));
    catch_unwind(AssertUnwindSafe(frame)).map_or_else(panicked, |frame| frame.map(convert))
}

/// The next frame, if it is ready.
fn poll_frame<R>(body: Pin<&mut R>) -> Poll<NextFrame>
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

fn panicked(_: Box<dyn Any + Send>) -> NextFrame {
    Some(Err("the response body panicked".into()))
}
