//! A response as the threads of its application share it: its state behind a lock, and the pipe of `write`.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use tower_blocking::internal::{BodyWriter, EarlyResponse, SendError, release_while};

use super::{
    file::FileBody,
    head::{ContentLengthBudget, Head, StartError, Truncated},
    response_state::{Beginning, ResponseState, Returned},
};
use crate::Body;

/// What an application, its `write` and the body of its response share.
pub(super) struct SharedResponse {
    state: Mutex<ResponseState>,
    /// Whether something is buffered. That is rare, so this is asked before the lock is taken. A thread sees what it
    /// has written itself; of what others write at the same time it may miss the last.
    has_buffered: AtomicBool,
    /// Whether a piece could not be written because the client has left.
    is_client_gone: AtomicBool,
    /// Whether the request's connection may change its protocol.
    may_switch: AtomicBool,
    /// Where `write` sends the head, on a thread of a pool; `None` on the event loop.
    pub(super) early: Option<EarlyResponse>,
    /// Set when the response is deferred.
    deferral: OnceLock<Box<Deferral>>,
    is_head: bool,
}

impl SharedResponse {
    pub(super) fn new(method: &Method, early: Option<EarlyResponse>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ResponseState::new()),
            has_buffered: AtomicBool::new(false),
            is_client_gone: AtomicBool::new(false),
            may_switch: AtomicBool::new(false),
            early,
            deferral: OnceLock::new(),
            is_head: method == Method::HEAD,
        })
    }

    /// Another thread of the application may hold the lock in `write`, and need the thread guard of this one to return.
    /// None of the application's code runs under the lock, so a poisoned one is consistent.
    fn state(&self) -> MutexGuard<'_, ResponseState> {
        match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                release_while(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Whether `write` may wait for the client.
    pub(super) fn waits(&self) -> bool {
        self.early.is_some() && self.deferral.get().is_none()
    }

    pub(super) fn allow_switch(&self) {
        self.may_switch.store(true, Relaxed);
    }

    pub(super) fn may_switch(&self) -> bool {
        self.may_switch.load(Relaxed)
    }

    /// From now on `write` does not wait. Returns what sends the part that was written before, and the rest of its
    /// `Content-Length`.
    pub(super) fn defer(&self) -> Option<(BodyWriter, ContentLengthBudget)> {
        let mut state = self.state();
        self.deferral.get_or_init(Box::default);
        state.defer()
    }

    /// Wakes the task when something is written to a deferred response.
    pub(super) fn wake_on_write(&self, waker: &Waker) {
        if let Some(deferral) = self.deferral.get() {
            deferral.written.set(waker);
        }
    }

    /// Ready if a deferred response has room for a piece, and if the response is not deferred.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(deferral) = self.deferral.get() else {
            return Poll::Ready(());
        };
        deferral.room.set(cx.waker());
        if self.state().has_room() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether the head is final.
    pub(super) fn is_sent(&self) -> bool {
        !matches!(*self.state(), ResponseState::Open { .. })
    }

    /// Whether the head is final, and no body follows it.
    pub(super) fn is_bodiless(&self) -> bool {
        self.state().is_bodiless()
    }

    /// Ends the response where it is.
    fn abort(&self) {
        self.state().abort();
        if let Some(deferral) = self.deferral.get() {
            deferral.room.wake();
        }
    }

    pub(super) fn start(&self, head: Result<Head, StartError>) -> Result<(), StartError> {
        self.state().start(head)
    }

    pub(super) fn restart(&self, head: Result<Head, StartError>) -> Result<bool, StartError> {
        self.state().restart(head)
    }

    pub(super) fn refuse(&self) {
        self.state().refuse();
    }

    pub(super) fn send_file(&self, file: FileBody) -> io::Result<()> {
        self.state().send_file(file)
    }

    pub(super) fn returned(&self) -> Returned {
        self.state().returned()
    }

    pub(super) fn begin(&self) -> Beginning {
        self.state().begin(self.is_head)
    }

    /// What was written and buffered.
    pub(super) fn take_buffered(&self) -> Option<Bytes> {
        if !self.has_buffered.load(Relaxed) {
            return None;
        }
        let mut state = self.state();
        self.has_buffered.store(false, Relaxed);
        let written = state.take_buffered();
        drop(state);
        if let Some(deferral) = self.deferral.get() {
            deferral.room.wake();
        }
        written
    }

    /// Sends a piece, as far as the `Content-Length` allows.
    pub(super) fn write(&self, mut piece: Bytes) -> io::Result<Option<Truncated>> {
        if piece.is_empty() {
            return Ok(None);
        }
        let mut state = self.state();
        if let Some(head) = state.take_head_to_write()? {
            self.begin_to_write(&mut state, head)?;
        }
        let ResponseState::Streaming { writer, budget } = &mut *state else {
            let deferral = self.deferral.get();
            let truncated = state.buffer(piece, deferral.is_some())?;
            self.has_buffered.store(true, Relaxed);
            drop(state);
            if let Some(deferral) = deferral {
                deferral.written.wake();
            }
            return Ok(truncated);
        };
        let truncated = budget.take(&mut piece);
        if piece.is_empty() {
            return Ok(truncated);
        }
        match writer.send(Frame::data(piece)) {
            Ok(()) => Ok(truncated),
            Err(SendError::ClientGone) => Err(self.client_gone()),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// The head is sent, where that is possible before the application returns.
    fn begin_to_write(&self, state: &mut ResponseState, head: Head) -> io::Result<()> {
        let has_body = !self.is_head && head.allows_body();
        let Some(early) = self.early.as_ref().filter(|_| has_body && self.waits()) else {
            *state = ResponseState::buffering(head, self.is_head);
            return Ok(());
        };
        let budget = head.budget();
        let (writer, reader) = early.pipe(budget.size_hint());
        *state = ResponseState::Streaming { writer, budget };
        if early.send(head.respond(Body::new(reader))) {
            Ok(())
        } else {
            Err(self.client_gone())
        }
    }

    fn client_gone(&self) -> io::Error {
        self.is_client_gone.store(true, Relaxed);
        io::Error::new(io::ErrorKind::BrokenPipe, "the client has left")
    }

    pub(super) fn is_client_gone(&self) -> bool {
        self.is_client_gone.load(Relaxed)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state().is_complete()
    }

    pub(super) fn finish(&self) -> Result<(), String> {
        self.state().finish()
    }
}

/// The service's share of a response. Dropped, it ends the response: what is written later is refused.
pub(super) struct ResponseGuard(pub(super) Arc<SharedResponse>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who waits for what in a deferred response.
#[derive(Default)]
struct Deferral {
    /// The task of the response, for something to be written.
    written: WakerSlot,
    /// The application, for room in the buffer.
    room: WakerSlot,
}

/// The waker of the one that waits.
#[derive(Default)]
struct WakerSlot(Mutex<Option<Waker>>);

impl WakerSlot {
    fn set(&self, new: &Waker) {
        let mut waker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(waker) => waker.clone_from(new),
            None => *waker = Some(new.clone()),
        }
    }

    fn wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
