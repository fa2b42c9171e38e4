//! One job: a service's call and its future, driven on a thread of the pool.

use std::{
    any::Any,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

#[cfg(feature = "wsgi")]
use super::early::{self, Answer};
use super::{
    BlockingPool, answer::answer, block_on::block_on, label::Label, queue::Job, ticket::Ticket,
};
use crate::{Body, BoxError, rejection::Rejection};

const NO_THREAD: &str = "The server is too busy to answer the request just now.";

/// What a job comes to: an answer, or (from a handler that says "not mine") the request again.
type Outcome<P, E> = Result<ControlFlow<Response<Body>, P>, E>;

enum Reply<P, E> {
    Outcome(Outcome<P, E>),
    Panic(Box<dyn Any + Send>),
}

/// Takes the one reply to a request.
struct Sender<P, E>(Mutex<Option<oneshot::Sender<Reply<P, E>>>>);

impl<P, E> Sender<P, E> {
    /// Says whether the reply was the first, and anybody is left to take it.
    fn send(&self, reply: Reply<P, E>) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.is_some_and(|sender| sender.send(reply).is_ok())
    }
}

#[cfg(feature = "wsgi")]
impl<P: Send, E: Send> Answer for Sender<P, E> {
    fn answer(&self, response: Response<Body>) -> bool {
        self.send(Reply::Outcome(Ok(ControlFlow::Break(response))))
    }
}

/// Lets `work`, its future and its response body run on the pool.
pub(crate) fn run<F, Fut, R, P, E>(pool: &BlockingPool, label: Label, work: F) -> Running<P, E>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<ControlFlow<Response<R>, P>, E>>,
    R: http_body::Body,
    R::Error: Into<BoxError>,
    P: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let span = tracing::Span::current();
    let spooled = Arc::clone(pool.spooled());
    let job = Box::new(move || {
        span.in_scope(|| {
            let sender = Arc::new(Sender(Mutex::new(Some(sender))));
            let send = |reply| sender.send(reply);
            #[cfg(feature = "wsgi")]
            let _running = early::Running::begin(sender.clone(), &spooled);
            match catch_unwind(AssertUnwindSafe(|| block_on(pin!(work())))) {
                Ok(Ok(ControlFlow::Break(response))) => answer(response, &spooled, |response| {
                    send(Reply::Outcome(Ok(ControlFlow::Break(response))))
                }),
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
    match pool.submit(Job { label, work: job }) {
        Err(_) => Running {
            reply: None,
            ticket: None,
            timeout: None,
        },
        Ok(ticket) => Running {
            reply: Some(receiver),
            timeout: ticket.queue_timeout.map(sleep),
            ticket: Some(ticket),
        },
    }
}

pin_project! {
    /// A job that waits or runs. Dropped while it waits, it leaves the queue.
    pub struct Running<P, E> {
        reply: Option<oneshot::Receiver<Reply<P, E>>>,
        ticket: Option<Ticket>,
        #[pin]
        timeout: Option<Sleep>,
    }
}

impl<P, E> Future for Running<P, E> {
    type Output = Outcome<P, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let refused = || Ok(ControlFlow::Break(Rejection::try_again(NO_THREAD)));
        let Some(reply) = this.reply else {
            return Poll::Ready(refused());
        };
        if let Poll::Ready(reply) = Pin::new(reply).poll(cx) {
            if let Some(ticket) = this.ticket.take() {
                ticket.done();
            }
            return Poll::Ready(match reply {
                Ok(Reply::Outcome(outcome)) => outcome,
                Ok(Reply::Panic(panic)) => resume_unwind(panic),
                // The pool was drained, or its runtime has ended.
                Err(_) => refused(),
            });
        }
        if let Some(timeout) = this.timeout.as_mut().as_pin_mut() {
            ready!(timeout.poll(cx));
            this.timeout.set(None);
            if this.ticket.as_ref().is_some_and(Ticket::refuse) {
                return Poll::Ready(refused());
            }
        }
        Poll::Pending
    }
}
