//! One job: a service's call and its future, driven on a thread of the pool.

use std::{
    any::Any,
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use http::Response;

use super::{
    BlockingPool,
    answer::answer,
    block_on::block_on,
    job::Job,
    label::Label,
    reply::{Receiver, reply},
    ticket::Ticket,
};
use super::{
    early::{self, Answer},
    pipe::Room,
    reply::Place,
};
use crate::{Body, BoxError, rejection::Rejection};

const NO_THREAD: &str = "The server is too busy to answer the request just now.";

/// What a job comes to: an answer, or (from a handler that says "not mine") the request again.
type Outcome<P, E> = Result<ControlFlow<Response<Body>, P>, E>;

enum Reply<P, E> {
    Outcome(Outcome<P, E>),
    Panic(Box<dyn Any + Send>),
}

impl<P: Send, E: Send> Answer for Place<Reply<P, E>> {
    fn answer(&self, response: Response<Body>) -> bool {
        self.send(Reply::Outcome(Ok(ControlFlow::Break(response))))
    }

    fn room(&self) -> &Room {
        self.room()
    }
}

/// Lets `work`, its future and its response body run on the pool.
pub fn run<F, Fut, R, P, E>(pool: &BlockingPool, label: Label, work: F) -> Running<P, E>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<ControlFlow<Response<R>, P>, E>>,
    R: http_body::Body,
    R::Error: Into<BoxError>,
    P: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = reply(pool.room());
    let span = tracing::Span::current();
    let job = Box::new(move || {
        span.in_scope(|| {
            let send = |reply| sender.send(reply);
            let _running = early::Running::begin(sender.place());
            match catch_unwind(AssertUnwindSafe(|| block_on(pin!(work())))) {
                Ok(Ok(ControlFlow::Break(response))) => {
                    answer(response, sender.room(), |response| {
                        send(Reply::Outcome(Ok(ControlFlow::Break(response))))
                    });
                }
                Ok(Ok(ControlFlow::Continue(pass))) => {
                    send(Reply::Outcome(Ok(ControlFlow::Continue(pass))));
                }
                Ok(Err(error)) => {
                    send(Reply::Outcome(Err(error)));
                }
                Err(panic) => {
                    if !send(Reply::Panic(panic)) {
                        tracing::error!("the service panicked, and nobody is left to be told");
                    }
                }
            }
        });
    });
    let ticket = pool.submit(Job { label, work: job }).ok();
    Running {
        waiting: ticket.map(|ticket| (receiver, ticket)),
    }
}

/// A job that waits or runs. Dropped while it waits, it leaves the queue.
pub struct Running<P, E> {
    /// `None` when there was no room for the job.
    waiting: Option<(Receiver<Reply<P, E>>, Ticket)>,
}

impl<P, E> Future for Running<P, E> {
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

impl<P, E> fmt::Debug for Running<P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
