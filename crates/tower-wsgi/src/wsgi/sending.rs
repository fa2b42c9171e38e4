//! What is being sent of a response: the order that PEP 3333 demands.

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
use tower_blocking::internal::{Early, SendError, Writer, waiting};

use super::{
    file::FileBody,
    head::{Head, StartError},
    left::{Fit, Left},
};
use crate::Body;

/// What `write` keeps until the application returns, where nothing else can be done: on the event loop.
const MOST_WRITTEN: usize = 8 << 20;

/// What an application, its `write` and the body of its response know together.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Whether something was written and kept: hardly ever, so that it is asked for without the lock. A thread sees
    /// what it has written itself; of what others write at the same time it may miss the last.
    keeps: AtomicBool,
    /// Where `write` sends the head; `None` on the event loop.
    pub(super) early: Option<Early>,
    pub(super) is_head: bool,
}

/// What there is to send when the application has returned.
pub(super) enum Returned {
    File(FileBody),
    /// `write` has sent all that the `Content-Length` says.
    Complete,
    Pieces,
}

/// How the response begins.
pub(super) struct Begin {
    /// `None` if there is none, or `write` has sent it.
    pub(super) head: Option<Head>,
    /// Whether the response that was started has a body at all.
    pub(super) has_body: bool,
    /// Whether something was written before the application has returned.
    pub(super) was_written: bool,
    /// Whether `write` sends the body: then the rest has to go there, too.
    pub(super) is_written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Open,
    /// The head was sent, or is about to be.
    Sent,
    /// There is no more to send.
    Over,
}

struct State {
    stage: Stage,
    /// Whether the response was started, be it in vain.
    called: bool,
    head: Option<Head>,
    /// Of the `Content-Length`, once the head is sent.
    left: Left,
    has_body: bool,
    /// Where `write` writes to, once it has sent the head.
    writer: Option<Writer>,
    /// What was written otherwise.
    written: Vec<u8>,
    file: Option<FileBody>,
    client_gone: bool,
}

impl Shared {
    pub(super) fn new(method: &Method) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                stage: Stage::Open,
                called: false,
                head: None,
                left: Left::default(),
                has_body: true,
                writer: None,
                written: Vec::new(),
                file: None,
                client_gone: false,
            }),
            keeps: AtomicBool::new(false),
            early: Early::current(),
            is_head: method == Method::HEAD,
        })
    }

    /// Another thread of the application may be in `write`, and want what this one holds before it goes
    /// on. None of the application's code runs under the lock, so a poisoned one is still in order.
    fn state(&self) -> MutexGuard<'_, State> {
        match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                waiting(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(super) fn start(&self, head: Result<Head, StartError>) -> Result<(), StartError> {
        let mut state = self.state();
        if state.stage != Stage::Open || state.called {
            return Err(StartError::CalledTwice);
        }
        state.called = true;
        state.head = Some(head?);
        Ok(())
    }

    /// Replaces what was started; `false` if it is too late for that.
    pub(super) fn restart(&self, head: Result<Head, StartError>) -> Result<bool, StartError> {
        if !self.forget() {
            return Ok(false);
        }
        self.state().head = Some(head?);
        Ok(true)
    }

    /// Notes a call that starts nothing, and forgets what was started before, unless it is too late.
    pub(super) fn forget(&self) -> bool {
        let mut state = self.state();
        state.called = true;
        let open = state.stage == Stage::Open;
        if open {
            state.head = None;
            state.file = None;
        }
        open
    }

    /// Makes a file the body.
    pub(super) fn send_file(&self, file: FileBody) -> io::Result<()> {
        let mut state = self.state();
        if state.stage != Stage::Open {
            return Err(io::Error::other(
                "a part of the body was written already; return the file in pieces",
            ));
        }
        state.file = Some(file);
        Ok(())
    }

    /// The application has returned.
    pub(super) fn returned(&self) -> Returned {
        let mut state = self.state();
        match state.file.take() {
            Some(file) => Returned::File(file),
            None if state.is_complete() => Returned::Complete,
            None => Returned::Pieces,
        }
    }

    /// The head is sent now, if `write` has not sent it.
    pub(super) fn begin(&self) -> Begin {
        let mut state = self.state();
        let was_written = state.stage != Stage::Open;
        self.send_head(&mut state);
        Begin {
            head: state.head.take(),
            has_body: state.has_body,
            was_written,
            is_written: state.writer.is_some(),
        }
    }

    /// Notes that the head is sent.
    fn send_head(&self, state: &mut State) {
        if let (Stage::Open, Some(head)) = (state.stage, &state.head) {
            state.stage = Stage::Sent;
            state.left = Left::new(head.content_length);
            state.has_body = !self.is_head && head.allows_body();
        }
    }

    /// What was written and has not been sent.
    pub(super) fn take_written(&self) -> Option<Bytes> {
        if !self.keeps.load(Relaxed) {
            return None;
        }
        let mut state = self.state();
        self.keeps.store(false, Relaxed);
        let written = std::mem::take(&mut state.written);
        (!written.is_empty()).then(|| written.into())
    }

    /// Whether a piece could not be written because the client has left.
    pub(super) fn is_client_gone(&self) -> bool {
        self.state().client_gone
    }

    /// What is left of the `Content-Length`.
    pub(super) fn left(&self) -> Left {
        self.state().left
    }

    /// Whether `write` has sent all that the `Content-Length` says.
    pub(super) fn is_complete(&self) -> bool {
        self.state().is_complete()
    }

    /// There is no more to send: what comes later is refused. `end` is for a body that is being written.
    pub(super) fn end(&self, end: impl FnOnce(Writer)) {
        let mut state = self.state();
        state.stage = Stage::Over;
        state.written = Vec::new();
        if let Some(writer) = state.writer.take() {
            end(writer);
        }
    }

    /// Sends a piece, as far as it fits the length.
    pub(super) fn write(&self, mut piece: Bytes) -> io::Result<Fit> {
        if piece.is_empty() {
            return Ok(Fit::Whole);
        }
        let mut state = self.state();
        if state.stage == Stage::Over {
            return Err(gone("the response is over"));
        }
        if state.file.is_some() {
            return Err(io::Error::other(
                "a file is the body of the response; nothing can be written to it",
            ));
        }
        self.send_head(&mut state);
        if !state.has_body {
            return Ok(Fit::Whole);
        }
        if let Some(early) = &self.early
            && let Some(head) = state.head.take()
        {
            let (writer, reader) = early.pipe(state.left.size_hint());
            state.writer = Some(writer);
            if !early.answer(head.respond(Body::new(reader))) {
                return Err(state.client_left());
            }
        }
        let fit = state.left.fit(&mut piece);
        if piece.is_empty() {
            return Ok(fit);
        }
        match &mut state.writer {
            None => {
                state.keep(&piece)?;
                self.keeps.store(true, Relaxed);
            }
            Some(writer) => match writer.send(Frame::data(piece)) {
                Ok(()) => {}
                Err(SendError::ClientGone) => return Err(state.client_left()),
                Err(error) => return Err(io::Error::other(error.to_string())),
            },
        }
        Ok(fit)
    }
}

impl State {
    fn is_complete(&self) -> bool {
        self.writer.is_some() && self.left.is_complete()
    }

    fn keep(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.written.len() + piece.len() > MOST_WRITTEN {
            return Err(io::Error::other(format!(
                "more than {MOST_WRITTEN} bytes were written and wait for the application to return; \
                 run it on a thread, or let it return them"
            )));
        }
        self.written.extend_from_slice(piece);
        Ok(())
    }

    fn client_left(&mut self) -> io::Error {
        self.client_gone = true;
        gone("the client has left")
    }
}

/// What is being sent. Dropped, it ends: a body that is being written breaks off there.
pub(super) struct Sending(pub(super) Arc<Shared>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0
            .end(|writer| writer.fail("the application did not finish the response".into()));
    }
}

fn gone(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}
