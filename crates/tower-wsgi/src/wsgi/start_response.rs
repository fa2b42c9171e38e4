use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::{self, Seek as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Frame;

use super::{
    file::FileBody,
    head::{Head, StartError},
    left::{Fit, Left},
};
use crate::{
    Body, BoxError,
    blocking::{Early, SendError, Writer},
};

/// What `write` keeps until the application returns, where nothing else can be done: on the event loop.
const MOST_WRITTEN: usize = 8 << 20;

/// PEP 3333's `start_response`: says what the status and the headers of the response are.
///
/// They are sent with the first piece of the body that is not empty. Until then an error may
/// [replace](Self::restart) them.
#[derive(Clone)]
pub struct StartResponse {
    shared: Arc<Shared>,
}

impl StartResponse {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Sets the status, as in `200 OK`, and the header fields. What is text in them is Latin-1.
    ///
    /// # Errors
    ///
    /// When they cannot be sent as they are, or it was called before. Nothing is set then.
    pub fn start<K, V>(
        &self,
        status: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Write, StartError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let head = Head::parse(status.as_ref(), headers)?;
        let mut state = self.shared.state();
        if state.stage != Stage::Open || state.head.is_some() {
            return Err(StartError::CalledTwice);
        }
        state.head = Some(head);
        Ok(self.write())
    }

    /// Sets the status and the header fields in place of earlier ones, because of an error: PEP 3333's
    /// call with `exc_info`.
    ///
    /// # Errors
    ///
    /// The same error again, when the headers have been sent. The application must pass it on, so that the
    /// response breaks off.
    pub fn restart<K, V, E>(
        &self,
        status: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (K, V)>,
        error: E,
    ) -> Result<Write, E>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
        E: From<StartError>,
    {
        let mut state = self.shared.state();
        if state.stage != Stage::Open {
            return Err(error);
        }
        state.head = Some(Head::parse(status.as_ref(), headers)?);
        drop(state);
        Ok(self.write())
    }

    /// Makes the rest of a file, from its position on, the body of the response. The application's
    /// chunks are not asked for then; they are dropped at once.
    ///
    /// The file is read while the client takes it, on threads of the runtime, and holds no thread of a
    /// pool. Without a `Content-Length` the response gets one.
    ///
    /// # Errors
    ///
    /// When it is no regular file.
    pub fn send_file(&self, mut file: File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only a regular file can be sent as the body of a response",
            ));
        }
        let position = file.stream_position()?;
        let length = metadata.len().saturating_sub(position);
        self.shared.state().file = Some(FileBody::new(file, position, length));
        Ok(())
    }

    fn write(&self) -> Write {
        Write {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartResponse").finish_non_exhaustive()
    }
}

/// PEP 3333's `write`: sends a piece of the body before those that the application returns. For
/// applications that cannot be written as an iterator; all others should be.
pub struct Write {
    shared: Arc<Shared>,
}

impl Write {
    /// Sends a piece. On a pool's thread it is on its way to the client when this returns; on the event
    /// loop it waits for the application to return, and 8 MiB may wait.
    ///
    /// # Errors
    ///
    /// When the client has left, when the piece goes over the `Content-Length` (what fits is sent), and
    /// when too much waits.
    pub fn write(&self, piece: impl Into<Bytes>) -> io::Result<()> {
        match self.shared.write(piece.into())? {
            Fit::Whole => Ok(()),
            Fit::Cut => Err(io::Error::other(
                "more was written than the Content-Length says; the rest is not sent",
            )),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}

/// What an application, its `write` and the body of its response know together.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Where `write` sends the head; `None` on the event loop.
    pub(super) early: Option<Early>,
    is_head: bool,
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
    head: Option<Head>,
    /// Of the `Content-Length`, once the head is sent.
    left: Left,
    has_body: bool,
    /// Where `write` writes to, once it has sent the head.
    writer: Option<Writer>,
    /// What was written otherwise.
    written: VecDeque<Bytes>,
    file: Option<FileBody>,
}

impl Shared {
    pub(super) fn new(method: &Method) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                stage: Stage::Open,
                head: None,
                left: Left::default(),
                has_body: true,
                writer: None,
                written: VecDeque::new(),
                file: None,
            }),
            early: Early::current(),
            is_head: method == Method::HEAD,
        })
    }

    // Nothing panics under the lock, so a poisoned one is still in order.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head, which is sent now. `None` if there is none, or `write` has sent it.
    pub(super) fn take_head(&self) -> Option<Head> {
        let mut state = self.state();
        state.head.is_some().then(|| self.send_head(&mut state));
        state.head.take()
    }

    /// Notes that the head is sent.
    fn send_head(&self, state: &mut State) {
        if let (Stage::Open, Some(head)) = (state.stage, &state.head) {
            state.stage = Stage::Sent;
            state.left = Left::new(head.content_length);
            let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
            state.has_body = !self.is_head && !bodiless.contains(&head.status);
        }
    }

    /// Whether the response that was started has a body at all.
    pub(super) fn has_body(&self) -> bool {
        self.state().has_body
    }

    /// Whether `write` sends the body: then the rest has to go there, too.
    pub(super) fn is_written(&self) -> bool {
        self.state().writer.is_some()
    }

    /// What was written and has not been sent.
    pub(super) fn take_written(&self, pieces: &mut VecDeque<Result<Bytes, BoxError>>) {
        pieces.extend(self.state().written.drain(..).map(Ok));
    }

    pub(super) fn take_file(&self) -> Option<FileBody> {
        self.state().file.take()
    }

    /// What is left of the `Content-Length`.
    pub(super) fn left(&self) -> Left {
        self.state().left
    }

    /// There is no more to send: what comes later is refused. The error breaks the response off.
    pub(super) fn end(&self, result: Result<(), BoxError>) {
        let mut state = self.state();
        state.stage = Stage::Over;
        state.written.clear();
        if let Some(writer) = state.writer.take() {
            match result {
                Ok(()) => writer.finish(),
                Err(error) => writer.fail(error),
            }
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
                return Err(gone("the client has left"));
            }
        }
        let fit = state.left.fit(&mut piece);
        if piece.is_empty() {
            return Ok(fit);
        }
        match &mut state.writer {
            Some(writer) => writer.send(Frame::data(piece)).map_err(stopped)?,
            None => state.keep(piece)?,
        }
        Ok(fit)
    }
}

impl State {
    fn keep(&mut self, piece: Bytes) -> io::Result<()> {
        let waiting: usize = self.written.iter().map(Bytes::len).sum();
        if waiting + piece.len() > MOST_WRITTEN {
            return Err(io::Error::other(format!(
                "more than {MOST_WRITTEN} bytes were written and wait for the application to return; \
                 run it on a thread, or let it return them"
            )));
        }
        self.written.push_back(piece);
        Ok(())
    }
}

/// What is being sent. Dropped, it ends: a body that is being written breaks off there.
pub(super) struct Sending(pub(super) Arc<Shared>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0
            .end(Err("the application did not finish the response".into()));
    }
}

fn stopped(error: SendError) -> io::Error {
    match error {
        SendError::ClientGone => gone("the client has left"),
        other => io::Error::other(other.to_string()),
    }
}

fn gone(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, text)
}
