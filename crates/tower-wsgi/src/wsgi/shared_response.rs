//! A response as the threads of its application share it: its state behind a lock, and the pipe of `write`.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use tower_blocking::internal::{EarlyResponse, SendError, release_while};

use super::{
    file::FileBody,
    head::{Head, StartError, Truncated},
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
    /// Where `write` sends the head; `None` on the event loop.
    pub(super) early: Option<EarlyResponse>,
    is_head: bool,
}

impl SharedResponse {
    pub(super) fn new(method: &Method, early: Option<EarlyResponse>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ResponseState::new()),
            has_buffered: AtomicBool::new(false),
            is_client_gone: AtomicBool::new(false),
            early,
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
        state.take_buffered()
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
            let truncated = state.buffer(piece)?;
            self.has_buffered.store(true, Relaxed);
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
        let Some(early) = self.early.as_ref().filter(|_| has_body) else {
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
        self.0.state().abort();
    }
}
