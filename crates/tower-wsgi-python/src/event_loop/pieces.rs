//! The channel for the pieces of a response: sent by the thread of a Python loop, received on the server's event loop.
//!
//! Neither side blocks. The sender learns whether there is room for another piece, and a command says when there is
//! room again. The receiver is a stream; dropped before the end, it cancels the task that sends, unless all bytes of the
//! `Content-Length` were received: then the task continues to its end.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;
use pyo3::{Py, PyAny};
use tower_wsgi::BoxError;

use super::commands::{CommandQueue, LoopCommand};

/// The number of bytes above which there is no room for another piece.
const HIGH_MARK: usize = 64 * 1024;

/// The number of bytes at which there is room again.
const LOW_MARK: usize = HIGH_MARK / 2;

/// The maximum number of bytes that are kept for a sender that does not wait for room.
const MAX_BUFFERED: usize = 8 << 20;

/// What both sides share.
pub(super) struct Channel {
    state: Mutex<ChannelState>,
}

struct ChannelState {
    pieces: VecDeque<Bytes>,
    buffered: usize,
    /// The number of bytes that the receiver has taken.
    taken: u64,
    /// The number of bytes of the response, if its head says so.
    length: Option<u64>,
    sender: SenderState,
    receiver: ReceiverState,
    /// The task to cancel when the receiver is gone.
    task: Option<Py<PyAny>>,
    /// The Python object that waits for room.
    waiter: Option<Py<PyAny>>,
    /// Whether a piece that is not empty was sent, and with it the head of the response.
    has_sent: bool,
}

enum SenderState {
    Running,
    Finished,
    Failed(BoxError),
}

enum ReceiverState {
    Reading(Option<Waker>),
    /// It has the whole response. What else is sent is dropped.
    Satisfied,
    Gone,
}

/// The result of sending a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// There is room for another.
    Room,
    /// The piece was taken; the sender has to wait before the next.
    Full,
    /// The piece was refused, because the sender has not waited.
    Refused,
    /// The response is no longer wanted.
    Gone,
}

/// Sends the pieces of a response. Clones send to the same one.
#[derive(Clone)]
pub(crate) struct PieceSender(pub(super) Arc<Channel>);

/// The pieces of a response. Dropped before the end, they cancel the task that sends them.
pub(crate) struct Pieces {
    channel: Arc<Channel>,
    commands: Arc<CommandQueue>,
}

/// A channel whose sender gets commands through the queue.
pub(super) fn pieces(commands: &Arc<CommandQueue>) -> (PieceSender, Pieces) {
    let channel = Arc::new(Channel {
        state: Mutex::new(ChannelState {
            pieces: VecDeque::new(),
            buffered: 0,
            taken: 0,
            length: None,
            sender: SenderState::Running,
            receiver: ReceiverState::Reading(None),
            task: None,
            waiter: None,
            has_sent: false,
        }),
    });
    let pieces = Pieces {
        channel: Arc::clone(&channel),
        commands: Arc::clone(commands),
    };
    (PieceSender(channel), pieces)
}

impl Channel {
    /// No Python code runs under the lock, and none is needed to get it.
    fn state(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_waiter(&self) -> Option<Py<PyAny>> {
        self.state().waiter.take()
    }

    pub(super) fn take_task(&self) -> Option<Py<PyAny>> {
        self.state().task.take()
    }

    pub(super) fn set_task(&self, task: Py<PyAny>) {
        let mut state = self.state();
        if matches!(state.sender, SenderState::Running) {
            state.task = Some(task);
        }
    }

    /// Whether the response is no longer wanted.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state().receiver, ReceiverState::Gone)
    }
}

impl ChannelState {
    fn waker(&mut self) -> Option<Waker> {
        match &mut self.receiver {
            ReceiverState::Reading(waker) => waker.take(),
            ReceiverState::Satisfied | ReceiverState::Gone => None,
        }
    }
}

impl PieceSender {
    /// Sends a piece; an empty one is dropped.
    pub(crate) fn send(&self, piece: Bytes) -> Sent {
        let mut state = self.0.state();
        match state.receiver {
            ReceiverState::Reading(_) => {}
            ReceiverState::Satisfied => return Sent::Room,
            ReceiverState::Gone => return Sent::Gone,
        }
        if piece.len() + state.buffered > MAX_BUFFERED && state.buffered > HIGH_MARK {
            return Sent::Refused;
        }
        if !piece.is_empty() {
            state.buffered += piece.len();
            state.has_sent = true;
            state.pieces.push_back(piece);
        }
        let is_full = state.buffered > HIGH_MARK;
        let waker = state.waker();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if is_full { Sent::Full } else { Sent::Room }
    }

    /// Sets the number of bytes of the response.
    pub(crate) fn set_length(&self, length: Option<u64>) {
        self.0.state().length = length;
    }

    /// Whether a piece that is not empty was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.0.state().has_sent
    }

    /// Ends the response, with a last piece.
    pub(super) fn finish(&self, last: Option<Bytes>) {
        let mut state = self.0.state();
        if let Some(piece) = last.filter(|piece| !piece.is_empty()) {
            state.buffered += piece.len();
            state.has_sent = true;
            state.pieces.push_back(piece);
        }
        drop(Self::end(state, SenderState::Finished));
    }

    /// Ends the response by an error.
    pub(super) fn fail(&self, error: BoxError) {
        drop(Self::end(self.0.state(), SenderState::Failed(error)));
    }

    /// Gives the task back, which must not be dropped under the lock.
    fn end(mut state: MutexGuard<'_, ChannelState>, end: SenderState) -> Option<Py<PyAny>> {
        if matches!(state.sender, SenderState::Running) {
            state.sender = end;
        }
        let task = state.task.take();
        let waker = state.waker();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        task
    }

    /// Has `waiter` notified when there is room. `None` if there is room already, or the response is not wanted any
    /// more: nothing would wake the waiter.
    pub(super) fn wait_for_room(&self, waiter: Py<PyAny>) -> Result<(), Py<PyAny>> {
        let mut state = self.0.state();
        if state.buffered <= LOW_MARK || !matches!(state.receiver, ReceiverState::Reading(_)) {
            return Err(waiter);
        }
        let before = state.waiter.replace(waiter);
        drop(state);
        drop(before);
        Ok(())
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.channel.state();
        if let Some(piece) = state.pieces.pop_front() {
            state.buffered -= piece.len();
            state.taken += piece.len() as u64;
            let has_room = state.waiter.is_some() && state.buffered <= LOW_MARK;
            drop(state);
            if has_room {
                self.commands
                    .push(LoopCommand::Room(Arc::clone(&self.channel)));
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match mem::replace(&mut state.sender, SenderState::Finished) {
            SenderState::Running => {
                state.sender = SenderState::Running;
                if let ReceiverState::Reading(waker) = &mut state.receiver {
                    match waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        None => *waker = Some(cx.waker().clone()),
                    }
                }
                Poll::Pending
            }
            SenderState::Finished => Poll::Ready(None),
            SenderState::Failed(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let state = self.channel.state();
        let count = state.pieces.len();
        match state.sender {
            SenderState::Running => (count, None),
            SenderState::Finished => (count, Some(count)),
            SenderState::Failed(_) => (count + 1, Some(count + 1)),
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let mut state = self.channel.state();
        let is_satisfied = state.length.is_some_and(|length| length <= state.taken);
        state.receiver = if is_satisfied {
            ReceiverState::Satisfied
        } else {
            ReceiverState::Gone
        };
        let is_waiting = state.waiter.is_some();
        let pieces = mem::take(&mut state.pieces);
        state.buffered = 0;
        let is_running = matches!(state.sender, SenderState::Running);
        drop(state);
        drop(pieces);
        let channel = Arc::clone(&self.channel);
        if is_running && !is_satisfied {
            self.commands.push(LoopCommand::Cancel(channel));
        } else if is_waiting {
            self.commands.push(LoopCommand::Room(channel));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    fn channel() -> (PieceSender, Pieces, Arc<CommandQueue>) {
        let commands = Arc::new(CommandQueue::new().unwrap());
        let (sender, pieces) = pieces(&commands);
        (sender, pieces, commands)
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_then_the_end() {
        let (sender, mut pieces, commands) = channel();
        let receive = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(piece) = pieces.next().await {
                all.push(piece.unwrap());
            }
            all
        });
        for piece in ["a", "", "b"] {
            tokio::task::yield_now().await;
            assert_eq!(sender.send(piece.into()), Sent::Room);
        }
        sender.finish(Some("c".into()));
        assert_eq!(receive.await.unwrap(), ["a", "b", "c"]);
        assert_eq!(commands.len(), 0);
    }

    #[tokio::test]
    async fn an_error_comes_after_the_pieces_before_it() {
        let (sender, mut pieces, _) = channel();
        sender.send("a".into());
        sender.fail("broken".into());
        assert_eq!(pieces.size_hint(), (2, Some(2)));
        assert_eq!(pieces.next().await.unwrap().unwrap(), "a");
        assert!(pieces.next().await.unwrap().is_err());
        assert!(pieces.next().await.is_none());
    }

    #[test]
    fn a_receiver_that_is_dropped_before_the_end_cancels() {
        let (sender, pieces, commands) = channel();
        drop(pieces);
        assert!(matches!(commands.take()[0], LoopCommand::Cancel(_)));
        assert_eq!(sender.send("a".into()), Sent::Gone);
        let (sender, pieces, commands) = channel();
        sender.finish(None);
        drop(pieces);
        assert_eq!(commands.len(), 0);
    }

    #[tokio::test]
    async fn a_receiver_that_has_the_whole_length_does_not_cancel() {
        let (sender, mut pieces, commands) = channel();
        sender.set_length(Some(3));
        sender.send("abc".into());
        assert_eq!(pieces.next().await.unwrap().unwrap(), "abc");
        drop(pieces);
        assert_eq!(commands.len(), 0);
        assert_eq!(sender.send("d".into()), Sent::Room);
    }

    #[test]
    fn a_sender_that_does_not_wait_for_room_is_refused_in_the_end() {
        let (sender, _pieces, _) = channel();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let sent: Vec<_> = (0..9).map(|_| sender.send(piece.clone())).collect();
        assert_eq!(sent[..8], [Sent::Full; 8]);
        assert_eq!(sent[8], Sent::Refused);
    }
}
