//! One socket, as the event loop and the application share it: what came in, what is to go out, and whose turn it is.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use pyo3::Python;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    close::CloseReason,
    dispatcher::Dispatcher,
    handler::{Handler, Interests},
};

/// The event loop does not read while this number of messages waits for the handler.
const MAX_MESSAGES: usize = 32;

/// Nor while the messages that wait have this number of bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// An event of a socket, for the handler.
#[derive(Debug)]
pub(super) enum SocketEvent {
    Open,
    Text(Utf8Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Closed,
}

impl SocketEvent {
    fn len(&self) -> usize {
        match self {
            Self::Open | Self::Closed => 0,
            Self::Text(text) => text.len(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data.len(),
        }
    }
}

/// Whether the application may write, and what the event loop has to do about the close.
#[derive(Debug)]
enum SocketPhase {
    /// The client has not been sent its 101 yet. Frames may wait already.
    Connecting,
    Open,
    /// The application closes it: the event loop has to send the frames that wait, then this reason.
    CloseRequested(CloseReason),
    /// A close frame was sent or received. Nothing more is written.
    Closing,
    /// The connection has ended.
    Closed(CloseReason),
}

/// Whether the handler is being called. One job at a time has the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TurnState {
    /// There is no event that may be handled now.
    Idle,
    /// The socket is in the dispatcher's queue, a job handles its events, or a result is awaited.
    Taken,
}

/// What the event loop is to send next.
#[derive(Debug)]
pub(super) enum Outgoing {
    Frame(Bytes),
    Close(CloseReason),
}

/// One socket.
pub(super) struct EventSocket {
    state: Mutex<SocketState>,
    /// The task that owns the connection.
    task: AtomicWaker,
    dispatcher: Arc<Dispatcher>,
    interests: Interests,
    max_outbox: usize,
}

struct SocketState {
    phase: SocketPhase,
    turn: TurnState,
    inbox: VecDeque<SocketEvent>,
    inbox_bytes: usize,
    /// The task has stopped reading because the inbox is full.
    reading_waits: bool,
    outbox: VecDeque<Bytes>,
    outbox_bytes: usize,
    /// Until `on_close` has returned. It refers to the Python object of this socket, and that object to this socket.
    handler: Option<Arc<Handler>>,
}

impl EventSocket {
    /// A socket whose client has not been sent its 101 yet.
    pub(super) fn new(handler: Handler, dispatcher: Arc<Dispatcher>, max_outbox: usize) -> Self {
        Self {
            interests: handler.interests(),
            state: Mutex::new(SocketState {
                phase: SocketPhase::Connecting,
                turn: TurnState::Idle,
                inbox: VecDeque::new(),
                inbox_bytes: 0,
                reading_waits: false,
                outbox: VecDeque::new(),
                outbox_bytes: 0,
                handler: Some(Arc::new(handler)),
            }),
            task: AtomicWaker::new(),
            dispatcher,
            max_outbox,
        }
    }

    // For the event loop.

    /// The task to wake when there is something to send, or room for messages.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// The connection is a WebSocket now.
    pub(super) fn open(self: &Arc<Self>) {
        let mut state = self.state();
        if matches!(state.phase, SocketPhase::Connecting) {
            state.phase = SocketPhase::Open;
        }
        self.deliver_to(state, SocketEvent::Open);
    }

    /// The connection did not become a WebSocket, because the response was another one or the client is gone. There are
    /// no events.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.phase = SocketPhase::Closed(CloseReason::ABNORMAL);
        let dropped = (state.handler.take(), mem::take(&mut state.outbox));
        drop(state);
        drop(dropped);
    }

    /// Whether there is room for another message. If not, the task is woken when there is.
    pub(super) fn may_read(&self) -> bool {
        let mut state = self.state();
        state.reading_waits =
            state.inbox.len() >= MAX_MESSAGES || state.inbox_bytes >= MAX_MESSAGE_BYTES;
        !state.reading_waits
    }

    /// An event for the handler, if it has a method for it. After the application has closed the socket, messages are
    /// dropped.
    pub(super) fn deliver(self: &Arc<Self>, event: SocketEvent) {
        if !self.interests.include(&event) {
            return;
        }
        let state = self.state();
        if matches!(state.phase, SocketPhase::Open) {
            self.deliver_to(state, event);
        }
    }

    /// The next frame to send.
    pub(super) fn next_outgoing(self: &Arc<Self>) -> Option<Outgoing> {
        let mut state = self.state();
        if let Some(frame) = state.outbox.pop_front() {
            state.outbox_bytes -= frame.len();
            self.schedule(state);
            return Some(Outgoing::Frame(frame));
        }
        if let SocketPhase::CloseRequested(reason) = &mut state.phase {
            let reason = mem::replace(reason, CloseReason::ABNORMAL);
            state.phase = SocketPhase::Closing;
            return Some(Outgoing::Close(reason));
        }
        None
    }

    /// A close frame came, or the client has violated the protocol: from now on nothing is written.
    pub(super) fn closing(&self) {
        let mut state = self.state();
        state.phase = SocketPhase::Closing;
        let dropped = state.drop_outbox();
        drop(state);
        drop(dropped);
    }

    /// The connection has ended. The last event is delivered.
    pub(super) fn closed(self: &Arc<Self>, reason: CloseReason) {
        let mut state = self.state();
        state.phase = SocketPhase::Closed(reason);
        let dropped = state.drop_outbox();
        self.deliver_to(state, SocketEvent::Closed);
        drop(dropped);
    }

    fn deliver_to(self: &Arc<Self>, mut state: MutexGuard<'_, SocketState>, event: SocketEvent) {
        state.inbox_bytes += event.len();
        state.inbox.push_back(event);
        self.schedule(state);
    }

    // For the application.

    /// Queues a frame. Returns whether it was queued. The frame for which there is no room closes the socket.
    pub(super) fn write(&self, frame: Bytes) -> bool {
        let mut state = self.state();
        if !matches!(state.phase, SocketPhase::Connecting | SocketPhase::Open) {
            return false;
        }
        if state.outbox_bytes > 0 && state.outbox_bytes + frame.len() > self.max_outbox {
            let dropped = state.drop_outbox();
            self.request_close(state, CloseReason::SLOW_READER);
            drop(dropped);
            return false;
        }
        state.outbox_bytes += frame.len();
        state.outbox.push_back(frame);
        // Otherwise the task has not taken the frame before this one, so it is awake.
        let is_first = state.outbox.len() == 1;
        drop(state);
        if is_first {
            self.task.wake();
        }
        true
    }

    /// Closes the socket after the frames that wait. Returns whether it was open.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        let state = self.state();
        let is_open = matches!(state.phase, SocketPhase::Connecting | SocketPhase::Open);
        if is_open {
            self.request_close(state, reason);
        }
        is_open
    }

    /// The messages that wait for the handler are dropped.
    fn request_close(&self, mut state: MutexGuard<'_, SocketState>, reason: CloseReason) {
        state.phase = SocketPhase::CloseRequested(reason);
        state
            .inbox
            .retain(|event| matches!(event, SocketEvent::Open));
        state.inbox_bytes = 0;
        drop(state);
        self.task.wake();
    }

    /// Why the socket was closed, once the connection has ended.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        match &self.state().phase {
            SocketPhase::Closed(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    // For the job that has the turn.

    /// The handler, while there may be events.
    pub(super) fn handler(&self) -> Option<Arc<Handler>> {
        self.state().handler.clone()
    }

    /// The next event. Without one the turn ends.
    pub(super) fn next_event(&self) -> Option<SocketEvent> {
        let mut state = self.state();
        if !state.is_due(self.max_outbox) {
            state.turn = TurnState::Idle;
            return None;
        }
        let event = state.inbox.pop_front()?;
        state.inbox_bytes -= event.len();
        let wakes = mem::take(&mut state.reading_waits);
        drop(state);
        if wakes {
            self.task.wake();
        }
        Some(event)
    }

    /// Ends the turn, and takes the next one if there are more events.
    pub(super) fn end_turn(self: &Arc<Self>) {
        let mut state = self.state();
        state.turn = TurnState::Idle;
        self.schedule(state);
    }

    /// After the last event: the Python objects may go.
    pub(super) fn forget_handler(&self, py: Python<'_>) {
        let handler = self.state().handler.take();
        // Here, where the thread is attached.
        let _ = py;
        drop(handler);
    }

    pub(super) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    fn schedule(self: &Arc<Self>, mut state: MutexGuard<'_, SocketState>) {
        if state.turn == TurnState::Idle && state.is_due(self.max_outbox) {
            state.turn = TurnState::Taken;
            drop(state);
            self.dispatcher.push(Arc::clone(self));
        }
    }

    /// Under this lock no Python code runs, and nothing waits.
    fn state(&self) -> MutexGuard<'_, SocketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketState {
    /// Whether there is an event that may be handled now: while the client reads slowly, none but the last.
    fn is_due(&self, max_outbox: usize) -> bool {
        !self.inbox.is_empty() && self.outbox_bytes <= max_outbox / 2
    }

    fn drop_outbox(&mut self) -> VecDeque<Bytes> {
        self.outbox_bytes = 0;
        mem::take(&mut self.outbox)
    }
}

impl fmt::Debug for EventSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("EventSocket")
            .field("phase", &state.phase)
            .field("turn", &state.turn)
            .field("inbox", &state.inbox.len())
            .field("outbox", &state.outbox_bytes)
            .finish_non_exhaustive()
    }
}
