//! The way of a job's one reply to the task that waits for it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{deferred, pipe::Room, wake_list::WakeList};

/// What a job and the task that waits for its reply share.
pub(super) struct Place<T> {
    state: Mutex<State<T>>,
    room: Arc<Room>,
}

enum State<T> {
    Empty(Option<Waiting>),
    Here(T),
    /// It was taken, or nobody takes it, or it never comes.
    Over,
}

struct Waiting {
    waker: Waker,
    /// Of the event loop where the waker belongs.
    list: Option<Arc<WakeList>>,
}

impl Waiting {
    fn wake(self) {
        match self.list {
            Some(list) => deferred::wake(&list, self.waker),
            None => self.waker.wake(),
        }
    }
}

/// Gives the reply.
pub(super) struct Sender<T>(Arc<Place<T>>);

/// Takes it.
pub(super) struct Receiver<T>(Arc<Place<T>>);

/// `room` is for the body of the reply.
pub(super) fn reply<T>(room: &Arc<Room>) -> (Sender<T>, Receiver<T>) {
    let place = Arc::new(Place {
        state: Mutex::new(State::Empty(None)),
        room: Arc::clone(room),
    });
    (Sender(Arc::clone(&place)), Receiver(place))
}

impl<T> Place<T> {
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether the reply was the first, and anybody is left to take it.
    pub(super) fn send(&self, reply: T) -> bool {
        self.put(State::Here(reply))
    }

    /// If there was none before.
    fn put(&self, new: State<T>) -> bool {
        let mut state = self.state();
        let State::Empty(waiting) = &mut *state else {
            return false;
        };
        let waiting = waiting.take();
        *state = new;
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        true
    }
}

impl<T> Sender<T> {
    /// As [`Place::send`]. From a thread of a pool, it may arrive with the replies of the jobs that follow.
    pub(super) fn send(&self, reply: T) -> bool {
        self.0.send(reply)
    }

    pub(super) fn room(&self) -> &Room {
        self.0.room()
    }

    /// Where replies from elsewhere go. None comes after this sender is gone.
    pub(super) fn place(&self) -> Arc<Place<T>> {
        Arc::clone(&self.0)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.put(State::Over);
    }
}

impl<T> Receiver<T> {
    /// The reply; `None` when none will come.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.state();
        match &mut *state {
            State::Empty(Some(waiting)) if waiting.waker.will_wake(cx.waker()) => {}
            State::Empty(waiting) => {
                // The list belongs to the waker: another one may not be that of a task.
                let waker = cx.waker().clone();
                let list = WakeList::of(&waker);
                *waiting = Some(Waiting { waker, list });
            }
            State::Here(_) | State::Over => {
                let state = mem::replace(&mut *state, State::Over);
                return Poll::Ready(match state {
                    State::Here(reply) => Some(reply),
                    State::Empty(_) | State::Over => None,
                });
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // A reply that nobody took is dropped without the lock.
        let unread = mem::replace(&mut *self.0.state(), State::Over);
        drop(unread);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    fn room() -> Arc<Room> {
        Room::new(0, 0, 0)
    }

    #[test]
    fn the_first_reply_arrives_and_wakes() {
        let (sender, receiver) = reply(&room());
        let mut task = task::spawn(poll_fn(|cx| receiver.poll(cx)));
        assert_pending!(task.poll());
        assert!(sender.send(1) && task.is_woken());
        assert!(!sender.send(2));
        drop(sender);
        assert_eq!(assert_ready!(task.poll()), Some(1));
        assert_eq!(assert_ready!(task.poll()), None);
    }

    #[test]
    fn a_sender_that_is_gone_wakes_too() {
        let (sender, receiver) = reply::<()>(&room());
        let mut task = task::spawn(poll_fn(|cx| receiver.poll(cx)));
        assert_pending!(task.poll());
        drop(sender);
        assert!(task.is_woken());
        assert_eq!(assert_ready!(task.poll()), None);
    }

    #[tokio::test]
    async fn who_polls_in_a_task_and_then_blocks_on_its_thread_is_woken_without_the_event_loop() {
        let in_task = tokio::spawn(async {
            let (sender, receiver) = reply(&room());
            poll_fn(|cx| match WakeList::of(cx.waker()) {
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
    fn a_sender_knows_that_nobody_is_left() {
        let (sender, receiver) = reply(&room());
        drop(receiver);
        assert!(!sender.send(1));
    }
}
