//! The state of a response: the order of calls that PEP 3333 demands.

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
use tower_blocking::internal::{BodyWriter, EarlyResponse, SendError, release_while};

use super::{
    file::FileBody,
    head::{ContentLengthBudget, Head, StartError, Truncated},
};
use crate::Body;

/// The limit of what `write` buffers until the application returns, where it cannot be sent earlier: on the event loop.
const MAX_BUFFERED: usize = 8 << 20;

/// How far a response has come.
///
/// ```text
///             write, on a pool
/// Open ──────────────────────────> Streaming ──> Ended
///   └───> Buffering ───────────────────────────────┘
///      write, on the event loop; or the application has returned
/// ```
enum ResponseState {
    /// Nothing has been sent: the head may be replaced.
    Open {
        /// Whether `start_response` was called, even in vain.
        is_called: bool,
        head: Option<Head>,
        file: Option<FileBody>,
    },
    /// The head is final. The service sends it with the first piece of the body; what is written in the meantime is
    /// buffered for it.
    Buffering {
        /// `None` when the service has taken it.
        head: Option<Head>,
        has_body: bool,
        budget: ContentLengthBudget,
        buffer: Vec<u8>,
    },
    /// `write` has sent the head, and sends the body.
    Streaming {
        writer: BodyWriter,
        budget: ContentLengthBudget,
    },
    /// Nothing more is sent.
    Ended,
}

/// What the service sends when the application has returned.
pub(super) enum Returned {
    /// A file; the pieces are not asked for.
    File(FileBody),
    /// Nothing: `write` has sent as much as the `Content-Length` says.
    Nothing,
    /// The pieces.
    Pieces,
}

/// How a response begins, when the first piece is there.
pub(super) enum Beginning {
    /// It does not: `start_response` was not called with success.
    NotStarted,
    /// `write` has sent the head, so the pieces have to be written as well.
    Streaming,
    /// The service sends the head.
    Head {
        head: Head,
        has_body: bool,
        /// Whether something was written before the application returned.
        was_written: bool,
    },
}

/// What an application, its `write` and the body of its response share.
pub(super) struct SharedResponse {
    inner: Mutex<Inner>,
    /// Whether something is buffered. That is rare, so this is asked before the lock is taken. A thread sees what it
    /// has written itself; of what others write at the same time it may miss the last.
    has_buffered: AtomicBool,
    /// Where `write` sends the head; `None` on the event loop.
    pub(super) early: Option<EarlyResponse>,
    is_head: bool,
}

struct Inner {
    state: ResponseState,
    /// Whether a piece could not be written because the client has left.
    is_client_gone: bool,
}

impl SharedResponse {
    pub(super) fn new(method: &Method, early: Option<EarlyResponse>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                state: ResponseState::Open {
                    is_called: false,
                    head: None,
                    file: None,
                },
                is_client_gone: false,
            }),
            has_buffered: AtomicBool::new(false),
            early,
            is_head: method == Method::HEAD,
        })
    }

    /// Another thread of the application may be in `write`, and need what this thread holds before it can go on. None
    /// of the application's code runs under the lock, so a poisoned one is consistent.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                release_while(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Sets the head for the first time.
    pub(super) fn start(&self, new: Result<Head, StartError>) -> Result<(), StartError> {
        match &mut self.lock().state {
            ResponseState::Open {
                is_called, head, ..
            } if !*is_called => {
                *is_called = true;
                *head = Some(new?);
                Ok(())
            }
            _ => Err(StartError::CalledTwice),
        }
    }

    /// Replaces the head, and a file; `false` if it has been sent.
    pub(super) fn restart(&self, new: Result<Head, StartError>) -> Result<bool, StartError> {
        let mut inner = self.lock();
        if !inner.state.reset() {
            return Ok(false);
        }
        if let ResponseState::Open { head, .. } = &mut inner.state {
            *head = Some(new?);
        }
        Ok(true)
    }

    /// Notes a call of `start_response` that starts nothing, and removes what was started before.
    pub(super) fn refuse(&self) {
        self.lock().state.reset();
    }

    /// Makes a file the body.
    pub(super) fn send_file(&self, new: FileBody) -> io::Result<()> {
        match &mut self.lock().state {
            ResponseState::Open { file, .. } => {
                *file = Some(new);
                Ok(())
            }
            _ => Err(io::Error::other(
                "a part of the body was written already; return the file in pieces",
            )),
        }
    }

    /// The application has returned.
    pub(super) fn returned(&self) -> Returned {
        match &mut self.lock().state {
            ResponseState::Open { file, .. } => {
                file.take().map_or(Returned::Pieces, Returned::File)
            }
            ResponseState::Streaming { budget, .. } if budget.is_complete() => Returned::Nothing,
            _ => Returned::Pieces,
        }
    }

    /// The first piece is there, or there is none: the service takes the head.
    pub(super) fn begin(&self) -> Beginning {
        let state = &mut self.lock().state;
        let was_written = !matches!(state, ResponseState::Open { .. });
        if let ResponseState::Open { head, .. } = state
            && let Some(head) = head.take()
        {
            *state = self.buffering(head);
        }
        match state {
            ResponseState::Streaming { .. } => Beginning::Streaming,
            ResponseState::Buffering { head, has_body, .. } => {
                head.take()
                    .map_or(Beginning::NotStarted, |head| Beginning::Head {
                        head,
                        has_body: *has_body,
                        was_written,
                    })
            }
            ResponseState::Open { .. } | ResponseState::Ended => Beginning::NotStarted,
        }
    }

    /// What was written and buffered.
    pub(super) fn take_buffered(&self) -> Option<Bytes> {
        if !self.has_buffered.load(Relaxed) {
            return None;
        }
        let mut inner = self.lock();
        self.has_buffered.store(false, Relaxed);
        match &mut inner.state {
            ResponseState::Buffering { buffer, .. } if !buffer.is_empty() => {
                Some(std::mem::take(buffer).into())
            }
            _ => None,
        }
    }

    /// Sends a piece, as far as the `Content-Length` allows.
    pub(super) fn write(&self, mut piece: Bytes) -> io::Result<Option<Truncated>> {
        if piece.is_empty() {
            return Ok(None);
        }
        let mut inner = self.lock();
        if let ResponseState::Open { head, file, .. } = &mut inner.state {
            if file.is_some() {
                return Err(io::Error::other(
                    "a file is the body of the response; nothing can be written to it",
                ));
            }
            let Some(head) = head.take() else {
                return Err(io::Error::other(
                    "the last call of start_response has failed, so nothing can be written",
                ));
            };
            self.begin_to_write(&mut inner, head)?;
        }
        match &mut inner.state {
            ResponseState::Buffering {
                has_body: false, ..
            } => Ok(None),
            ResponseState::Buffering { budget, buffer, .. } => {
                let truncated = budget.take(&mut piece);
                if buffer.len() + piece.len() > MAX_BUFFERED {
                    return Err(io::Error::other(format!(
                        "more than {MAX_BUFFERED} bytes were written before the application has returned; \
                         run it on a thread, or let it return them"
                    )));
                }
                buffer.extend_from_slice(&piece);
                self.has_buffered.store(true, Relaxed);
                Ok(truncated)
            }
            ResponseState::Streaming { writer, budget } => {
                let truncated = budget.take(&mut piece);
                if piece.is_empty() {
                    return Ok(truncated);
                }
                match writer.send(Frame::data(piece)) {
                    Ok(()) => Ok(truncated),
                    Err(SendError::ClientGone) => Err(inner.client_gone()),
                    Err(error) => Err(io::Error::other(error.to_string())),
                }
            }
            ResponseState::Open { .. } | ResponseState::Ended => {
                Err(broken_pipe("the response has ended"))
            }
        }
    }

    /// The first piece is written: the head is sent where that is possible before the application returns.
    fn begin_to_write(&self, inner: &mut Inner, head: Head) -> io::Result<()> {
        let has_body = self.has_body(&head);
        let Some(early) = self.early.as_ref().filter(|_| has_body) else {
            inner.state = self.buffering(head);
            return Ok(());
        };
        let budget = head.budget();
        let (writer, reader) = early.pipe(budget.size_hint());
        inner.state = ResponseState::Streaming { writer, budget };
        if early.send(head.respond(Body::new(reader))) {
            Ok(())
        } else {
            Err(inner.client_gone())
        }
    }

    fn buffering(&self, head: Head) -> ResponseState {
        ResponseState::Buffering {
            has_body: self.has_body(&head),
            budget: head.budget(),
            head: Some(head),
            buffer: Vec::new(),
        }
    }

    fn has_body(&self, head: &Head) -> bool {
        !self.is_head && head.allows_body()
    }

    /// Whether a piece could not be written because the client has left.
    pub(super) fn is_client_gone(&self) -> bool {
        self.lock().is_client_gone
    }

    /// Whether `write` has sent as much as the `Content-Length` says.
    pub(super) fn is_complete(&self) -> bool {
        matches!(&self.lock().state, ResponseState::Streaming { budget, .. } if budget.is_complete())
    }

    /// All pieces are written. An error says that the `Content-Length` promises more.
    pub(super) fn finish(&self) -> Result<(), String> {
        let mut inner = self.lock();
        if let ResponseState::Streaming { budget, .. } = &inner.state {
            budget.end()?;
        }
        if let ResponseState::Streaming { writer, .. } = inner.state.end() {
            writer.finish();
        }
        Ok(())
    }
}

impl ResponseState {
    /// Removes what was started, unless it has been sent; `false` if it has.
    fn reset(&mut self) -> bool {
        let is_open = matches!(self, Self::Open { .. });
        if is_open {
            *self = Self::Open {
                is_called: true,
                head: None,
                file: None,
            };
        }
        is_open
    }

    /// Ends it: what is written later is refused. Gives the state before.
    fn end(&mut self) -> Self {
        std::mem::replace(self, Self::Ended)
    }
}

impl Inner {
    fn client_gone(&mut self) -> io::Error {
        self.is_client_gone = true;
        broken_pipe("the client has left")
    }
}

/// The service's share of a response. Dropped, it ends the response: a body that is being written breaks off there.
pub(super) struct ResponseGuard(pub(super) Arc<SharedResponse>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        let before = self.0.lock().state.end();
        if let ResponseState::Streaming { writer, .. } = before {
            writer.fail("the application did not finish the response".into());
        }
    }
}

fn broken_pipe(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}
