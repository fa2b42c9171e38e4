//! Runs a function as a job, and a request as one: a service's call, its future, and its response body, on a thread of
//! the pool.

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
    reply::{
        DeferredResponse, EarlyReply, EarlyResponse, ReplyReceiver, ReplySender, ReplySlot, reply,
    },
};
use crate::{Body, BoxError, Rejection, on_rejection::OnRejection, rejection::application_failed};

enum Reply<T> {
    Output(T),
    Panic(Box<dyn Any + Send>),
    Refused(Rejection),
}

impl BlockingPool {
    /// Runs a function that may block on a thread of the pool, and returns what it returns.
    ///
    /// The function is queued at once. It counts as a job like a request of a [`BlockingLayer`](super::BlockingLayer):
    /// `max_queued` and `queue_timeout` apply to it. If the future is dropped while the function is queued, the function
    /// does not run. A panic of the function unwinds into the future. The function runs in the current span of `tracing`.
    ///
    /// # Errors
    ///
    /// The reason why the pool refused the function: for example [`Rejection::QueueFull`].
    ///
    /// ```
    /// use tower_blocking::{Rejection, blocking::BlockingPool};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Rejection> {
    /// let pool = BlockingPool::new(4);
    /// let lines = pool.run(|| std::fs::read_to_string("/etc/hosts")).await?;
    /// # assert!(lines.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<F, T>(&self, function: F) -> JobFuture<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let request = RequestInfo::of_function::<F>();
        let span = tracing::Span::current();
        let (sender, receiver) = reply(self.pipe_budget());
        let work = Box::new(move |admission| {
            let Some(sender) = admit(sender, admission) else {
                return;
            };
            let function = || span.in_scope(function);
            let reply = match catch_unwind(AssertUnwindSafe(function)) {
                Ok(output) => Reply::Output(output),
                Err(panic) => Reply::Panic(panic),
            };
            send_or_log(&sender, reply);
        });
        submit(self, Job { request, work }, receiver)
    }
}

/// The result of a request: a response, or the request again from a handler that leaves it to the next one.
type Outcome<P, E> = Result<ControlFlow<Response<Body>, P>, E>;

/// What the job of a request sends.
enum RequestReply<P, E> {
    Outcome(Outcome<P, E>),
    /// The job has left the response to its task.
    Deferred(DeferredResponse),
}

/// Runs `work`, its future and its response body on the pool. `work` gets a function that makes an [`EarlyResponse`].
pub(super) fn run_request<F, Fut, R, P, E>(
    pool: &BlockingPool,
    request: RequestInfo,
    work: F,
) -> RequestFuture<P, E>
where
    F: FnOnce(&dyn Fn() -> EarlyResponse) -> Fut + Send + 'static,
    Fut: Future<Output = Result<ControlFlow<Response<R>, P>, E>>,
    R: http_body::Body,
    R::Error: Into<BoxError>,
    P: Send + 'static,
    E: Send + 'static,
{
    let span = tracing::Span::current();
    let (sender, receiver) = reply(pool.pipe_budget());
    let work = Box::new(move |admission| {
        let Some(sender) = admit(sender, admission) else {
            return;
        };
        span.in_scope(|| {
            let send = |outcome| sender.send(Reply::Output(RequestReply::Outcome(outcome)));
            let early = || EarlyResponse::new(sender.slot());
            match catch_unwind(AssertUnwindSafe(|| block_on(pin!(work(&early))))) {
                Ok(Ok(ControlFlow::Break(response))) => {
                    send_response(response, sender.budget(), |response| {
                        send(Ok(ControlFlow::Break(response)))
                    });
                }
                Ok(Ok(ControlFlow::Continue(request))) => {
                    send(Ok(ControlFlow::Continue(request)));
                }
                Ok(Err(error)) => {
                    send(Err(error));
                }
                Err(panic) => send_or_log(&sender, Reply::Panic(panic)),
            }
        });
    });
    let job = submit(pool, Job { request, work }, receiver);
    RequestFuture {
        state: RequestState::Job(job),
        on_rejection: OnRejection::default(),
    }
}

fn submit<T>(pool: &BlockingPool, job: Job, receiver: ReplyReceiver<Reply<T>>) -> JobFuture<T> {
    let state = match pool.submit(job) {
        Ok(ticket) => JobState::Submitted(receiver, ticket),
        Err((_, rejection)) => JobState::Refused(rejection),
    };
    JobFuture { state }
}

/// Gives the sender back if the job is to run, and otherwise sends the rejection.
fn admit<T>(
    sender: ReplySender<Reply<T>>,
    admission: Result<(), Rejection>,
) -> Option<ReplySender<Reply<T>>> {
    match admission {
        Ok(()) => Some(sender),
        Err(rejection) => {
            sender.send(Reply::Refused(rejection));
            None
        }
    }
}

fn send_or_log<T>(sender: &ReplySender<Reply<T>>, reply: Reply<T>) {
    let is_panic = matches!(reply, Reply::Panic(_));
    if !sender.send(reply) && is_panic {
        tracing::error!("a job panicked after its result was no longer awaited");
    }
}

impl<P: Send, E: Send> EarlyReply for ReplySlot<Reply<RequestReply<P, E>>> {
    fn send_response(&self, response: Response<Body>) -> bool {
        let outcome = Ok(ControlFlow::Break(response));
        self.send(Reply::Output(RequestReply::Outcome(outcome)))
    }

    fn defer_response(&self, response: DeferredResponse) {
        self.send(Reply::Output(RequestReply::Deferred(response)));
    }

    fn pipe_budget(&self) -> &PipeBudget {
        self.budget()
    }
}

/// The output of a job of a [`BlockingPool`], or the reason why the pool refused it. If it is dropped while the job is
/// queued, the job does not run.
#[must_use = "a job whose future is dropped may not run"]
pub struct JobFuture<T> {
    state: JobState<T>,
}

enum JobState<T> {
    Submitted(ReplyReceiver<Reply<T>>, Ticket),
    Refused(Rejection),
}

impl<T> JobFuture<T> {
    fn poll_reply(&mut self, cx: &Context<'_>) -> Poll<Reply<T>> {
        match &mut self.state {
            JobState::Submitted(receiver, ticket) => {
                let reply = ready!(receiver.poll(cx));
                ticket.done();
                // Without a reply, the job was dropped with its runtime.
                Poll::Ready(reply.unwrap_or(Reply::Refused(Rejection::Draining)))
            }
            JobState::Refused(rejection) => Poll::Ready(Reply::Refused(*rejection)),
        }
    }
}

impl<T> Future for JobFuture<T> {
    type Output = Result<T, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(self.poll_reply(cx)) {
            Reply::Output(output) => Poll::Ready(Ok(output)),
            Reply::Panic(panic) => resume_unwind(panic),
            Reply::Refused(rejection) => Poll::Ready(Err(rejection)),
        }
    }
}

impl<T> fmt::Debug for JobFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFuture").finish_non_exhaustive()
    }
}

/// The outcome of a request. A rejection becomes a response.
pub struct RequestFuture<P, E> {
    state: RequestState<P, E>,
    on_rejection: OnRejection,
}

enum RequestState<P, E> {
    Job(JobFuture<RequestReply<P, E>>),
    /// The job has ended, and its thread is free.
    Deferred(DeferredResponse),
}

impl<P, E> RequestFuture<P, E> {
    pub(super) fn on_rejection(mut self, on_rejection: &OnRejection) -> Self {
        self.on_rejection = on_rejection.clone();
        self
    }
}

impl<P, E> Future for RequestFuture<P, E> {
    type Output = Outcome<P, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let job = match &mut self.state {
                RequestState::Job(job) => job,
                RequestState::Deferred(response) => {
                    let response = ready!(response.as_mut().poll(cx));
                    return Poll::Ready(Ok(ControlFlow::Break(response)));
                }
            };
            match ready!(job.poll_reply(cx)) {
                Reply::Output(RequestReply::Outcome(outcome)) => return Poll::Ready(outcome),
                Reply::Output(RequestReply::Deferred(response)) => {
                    self.state = RequestState::Deferred(response);
                }
                Reply::Panic(panic) => resume_unwind(panic),
                Reply::Refused(rejection) => {
                    let response = self.on_rejection.respond(rejection);
                    return Poll::Ready(Ok(ControlFlow::Break(response)));
                }
            }
        }
    }
}

impl<P, E> fmt::Debug for RequestFuture<P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFuture").finish_non_exhaustive()
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
            send(application_failed());
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
