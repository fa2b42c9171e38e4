//! How the reply of a job gets to the task that waits for it: at its end, or early by an [`EarlyResponse`].

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use http::Response;
use http_body::SizeHint;

use super::{
    deferred_wakes,
    pipe::{BodyReader, BodyWriter, PipeBudget, pipe},
    wake_batch::WakeBatch,
};
use crate::Body;

/// What a job and the task that waits for its reply share.
pub(super) struct ReplySlot<T> {
    state: Mutex<ReplyState<T>>,
    budget: Arc<PipeBudget>,
}

enum ReplyState<T> {
    Empty(Option<ReplyWaker>),
    Ready(T),
    /// The reply was taken, or is no longer awaited, or never comes.
    Closed,
}

struct ReplyWaker {
    waker: Waker,
    /// That of the event loop which the waker belongs to.
    batch: Option<Arc<WakeBatch>>,
}

impl ReplyWaker {
    fn wake(self) {
        match self.batch {
            Some(batch) => deferred_wakes::wake(&batch, self.waker),
            None => self.waker.wake(),
        }
    }
}

/// Sends the reply.
pub(super) struct ReplySender<T>(Arc<ReplySlot<T>>);

/// Receives the reply.
pub(super) struct ReplyReceiver<T>(Arc<ReplySlot<T>>);

/// A channel for one reply. `budget` is for its response body.
pub(super) fn reply<T>(budget: &Arc<PipeBudget>) -> (ReplySender<T>, ReplyReceiver<T>) {
    let slot = Arc::new(ReplySlot {
        state: Mutex::new(ReplyState::Empty(None)),
        budget: Arc::clone(budget),
    });
    (ReplySender(Arc::clone(&slot)), ReplyReceiver(slot))
}

impl<T> ReplySlot<T> {
    pub(super) fn budget(&self) -> &PipeBudget {
        &self.budget
    }

    fn state(&self) -> MutexGuard<'_, ReplyState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the reply was the first, and is still awaited.
    pub(super) fn send(&self, reply: T) -> bool {
        self.put(ReplyState::Ready(reply))
    }

    fn put(&self, new: ReplyState<T>) -> bool {
        let mut state = self.state();
        let ReplyState::Empty(waker) = &mut *state else {
            return false;
        };
        let waker = waker.take();
        *state = new;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<T> ReplySender<T> {
    /// As [`ReplySlot::send`]. On a thread of a pool, the wake may be deferred until the next jobs are done.
    pub(super) fn send(&self, reply: T) -> bool {
        self.0.send(reply)
    }

    pub(super) fn budget(&self) -> &PipeBudget {
        self.0.budget()
    }

    /// Where an early reply goes. It is closed when this sender is dropped.
    pub(super) fn slot(&self) -> Arc<ReplySlot<T>> {
        Arc::clone(&self.0)
    }
}

impl<T> Drop for ReplySender<T> {
    fn drop(&mut self) {
        self.0.put(ReplyState::Closed);
    }
}

impl<T> ReplyReceiver<T> {
    /// The reply, or `None` if none will come.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.state();
        match &mut *state {
            ReplyState::Empty(Some(waiting)) if waiting.waker.will_wake(cx.waker()) => {}
            ReplyState::Empty(waiting) => {
                // The batch belongs to the waker: another waker may not be that of a task.
                let waker = cx.waker().clone();
                let batch = WakeBatch::of(&waker);
                *waiting = Some(ReplyWaker { waker, batch });
            }
            ReplyState::Ready(_) | ReplyState::Closed => {
                let state = mem::replace(&mut *state, ReplyState::Closed);
                return Poll::Ready(match state {
                    ReplyState::Ready(reply) => Some(reply),
                    ReplyState::Empty(_) | ReplyState::Closed => None,
                });
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for ReplyReceiver<T> {
    fn drop(&mut self) {
        // A reply that was not taken is dropped without the lock.
        let unread = mem::replace(&mut *self.0.state(), ReplyState::Closed);
        drop(unread);
    }
}

/// A response for which no thread waits: the task that waits for the reply of the job polls it.
pub type DeferredResponse = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A slot that takes a response before its job has ended.
pub(super) trait EarlyReply: Send + Sync {
    /// Returns whether the response is awaited.
    fn send_response(&self, response: Response<Body>) -> bool;

    /// Leaves the response to the task, if it is awaited.
    fn defer_response(&self, response: DeferredResponse);

    /// For the body of the response.
    fn pipe_budget(&self) -> &PipeBudget;
}

/// Responds to the request of a job that still runs. What the job returns in the end is dropped then.
///
/// [`Blocking`](super::Blocking) puts it into the extensions of the request.
#[derive(Clone)]
pub struct EarlyResponse(Arc<dyn EarlyReply>);

impl EarlyResponse {
    pub(super) fn new(slot: Arc<dyn EarlyReply>) -> Self {
        Self(slot)
    }

    /// Sends the response. Returns whether it is awaited.
    pub fn send(&self, response: Response<Body>) -> bool {
        let is_awaited = self.0.send_response(response);
        // The job continues.
        deferred_wakes::flush();
        is_awaited
    }

    /// Leaves the response to the task that waits for it, so that the job can end before it is there. The future is
    /// dropped when the client leaves, or has left.
    pub fn defer(&self, response: DeferredResponse) {
        self.0.defer_response(response);
    }

    /// A response body of `size` that is written on this thread and read on the event loop.
    #[must_use]
    pub fn pipe(&self, size: SizeHint) -> (BodyWriter, BodyReader) {
        pipe(size, self.0.pipe_budget())
    }
}

impl fmt::Debug for EarlyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyResponse").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    fn budget() -> Arc<PipeBudget> {
        PipeBudget::new(0, 0, 0)
    }

    #[test]
    fn the_first_reply_arrives_and_wakes() {
        let (sender, receiver) = reply(&budget());
        let mut task = task::spawn(poll_fn(|cx| receiver.poll(cx)));
        assert_pending!(task.poll());
        assert!(sender.send(1) && task.is_woken());
        assert!(!sender.send(2));
        drop(sender);
        assert_eq!(assert_ready!(task.poll()), Some(1));
        assert_eq!(assert_ready!(task.poll()), None);
    }

    #[test]
    fn a_dropped_sender_wakes_as_well() {
        let (sender, receiver) = reply::<()>(&budget());
        let mut task = task::spawn(poll_fn(|cx| receiver.poll(cx)));
        assert_pending!(task.poll());
        drop(sender);
        assert!(task.is_woken());
        assert_eq!(assert_ready!(task.poll()), None);
    }

    #[tokio::test]
    async fn a_task_that_blocks_its_thread_after_a_poll_is_woken_without_the_event_loop() {
        let in_task = tokio::spawn(async {
            let (sender, receiver) = reply(&budget());
            poll_fn(|cx| match WakeBatch::of(cx.waker()) {
                Some(_) => {
                    assert_pending!(receiver.poll(cx));
                    Poll::Ready(())
                }
                None => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
            let mut blocks = task::spawn(poll_fn(|cx| receiver.poll(cx)));
            assert_pending!(blocks.poll());
            assert!(sender.send(1));
            assert!(blocks.is_woken());
        });
        in_task.await.unwrap();
    }

    #[test]
    fn a_sender_knows_whether_its_reply_is_awaited() {
        let (sender, receiver) = reply(&budget());
        drop(receiver);
        assert!(!sender.send(1));
    }
}
