//! The body of one request, between its connection and its reader, which may be on another thread.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::Instant};

use super::received::ChunkLines;

/// hyper reads at least this much at once. So a smaller rest of a body that is not read is probably there already, and
/// costs the connection nothing.
const SMALL: u64 = 8 << 10;

/// What has become of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// It was received to its end, or there was none.
    Complete,
    /// Some of it may still be to come.
    Unread,
    /// It is here to its end, but the service has not taken all of it.
    Arrived,
    /// It was cut off, or is malformed.
    Malformed,
    /// The client has not sent more of it in time.
    TimedOut,
}

/// What may follow a body on its connection, when its reader is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterBody {
    NextRequest,
    /// Nothing: the response to be sent is the last.
    Close,
}

/// Whether the connection takes the first piece of a body that the service does not read. If that is the whole body, the
/// client has nothing more to send, which hyper does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefetch {
    /// It does not: the body is large, the client would be asked for it, or the service reads it.
    Never,
    /// It has not tried yet. So hyper's body is kept even if the service drops its own at once.
    Due,
    /// It has tried. If the service drops the body, hyper must hear of that.
    Tried,
}

/// The body of a request: all that its reader shares with the connection.
#[derive(Debug)]
pub(super) struct SharedBody {
    /// Its end is not known from the head.
    is_chunked: bool,
    timeout: Duration,
    /// The event loop of the connection.
    runtime: Handle,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Until it is not wanted any more.
    incoming: Option<Incoming>,
    prefetch: Prefetch,
    /// Taken by the connection.
    prefetched: Option<hyper::Result<Bytes>>,
    state: BodyState,
    /// Once the reader is done.
    after: Option<AfterBody>,
    /// Where the body is chunked and its beginning is known.
    chunk_lines: Option<ChunkLines>,
    /// To be woken when the reader is done.
    connection: Option<Waker>,
    is_awaited: bool,
    last_read: Option<Instant>,
}

/// What the service waits for, while it has not responded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReaderProgress {
    /// The reader waits for the client to send more.
    pub(super) is_awaited: bool,
    /// When the reader was last given some of the body.
    pub(super) last_read: Option<Instant>,
}

impl SharedBody {
    /// `asks`: the client waits for a `100 Continue` before it sends the body.
    pub(super) fn new(incoming: Incoming, asks: bool, timeout: Duration, runtime: Handle) -> Self {
        let length = incoming.size_hint().exact();
        let is_small = length.is_some_and(|length| length <= SMALL);
        let prefetch = match is_small && !asks {
            true => Prefetch::Due,
            false => Prefetch::Never,
        };
        Self {
            is_chunked: length.is_none(),
            timeout,
            runtime,
            inner: Mutex::new(Inner {
                incoming: Some(incoming),
                prefetch,
                prefetched: None,
                state: BodyState::Unread,
                after: None,
                chunk_lines: None,
                connection: None,
                is_awaited: false,
                last_read: None,
            }),
        }
    }

    /// The body of a request on a stream of HTTP/2, of which hyper itself knows whether the client has left.
    pub(super) fn of_stream(incoming: Incoming, timeout: Duration, runtime: Handle) -> Self {
        Self::new(incoming, true, timeout, runtime)
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    pub(super) fn state(&self) -> BodyState {
        self.lock().state
    }

    /// What may follow it, if its reader is done.
    pub(super) fn after(&self) -> Option<AfterBody> {
        self.lock().after
    }

    /// Whether it is in doubt where the body ends, so that nothing after it may be taken for a request. A chunked one has
    /// to be read to its end, and without trailers: hyper ends a trailer line at CR LF but parses it at a bare LF, so that it
    /// may swallow a request as trailers.
    pub(super) fn is_framing_unknown(&self) -> bool {
        self.is_chunked && self.after() != Some(AfterBody::NextRequest)
    }

    /// What its reader has left it in, and what may follow it, if the reader is done. Otherwise `waker` is woken when it is.
    pub(super) fn poll_done(&self, waker: &Waker) -> Option<(BodyState, AfterBody)> {
        let mut inner = self.lock();
        match inner.after {
            Some(after) => Some((inner.state, after)),
            None => {
                inner.wake_when_done(waker);
                None
            }
        }
    }

    /// Whether the client has nothing more to send of it. Otherwise `waker` is woken when the reader is done.
    pub(super) fn poll_whole(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        let is_whole = matches!(inner.state, BodyState::Complete | BodyState::Arrived);
        if !is_whole {
            inner.wake_when_done(waker);
        }
        is_whole
    }

    /// Checks the lines before chunks from now on, after `begin`, which has come with the head.
    pub(super) fn begin_chunk_lines(&self, begin: &[u8]) {
        let mut lines = ChunkLines::default();
        lines.add(begin);
        self.lock().chunk_lines = Some(lines);
    }

    /// More of a chunked body was read from the socket.
    pub(super) fn add_chunk_lines(&self, bytes: &[u8]) {
        if let Some(lines) = &mut self.lock().chunk_lines {
            lines.add(bytes);
        }
    }

    /// For a service that has not responded: takes the first piece of a body that it does not read, and returns what its
    /// reader does. To be called when the service waits, not before: hyper wakes the connection once more for what is taken.
    pub(super) fn prefetch(&self, cx: &mut Context<'_>) -> ReaderProgress {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.prefetch != Prefetch::Never
            && inner.prefetched.is_none()
            && let Some(incoming) = &mut inner.incoming
        {
            if let Poll::Ready(Some(first)) = Pin::new(&mut *incoming).poll_frame(cx) {
                // There are no trailers where the length is known.
                inner.prefetched = first.map(|frame| frame.into_data().ok()).transpose();
            }
            if incoming.is_end_stream() {
                inner.state = BodyState::Arrived;
            }
            inner.prefetch = Prefetch::Tried;
            inner.release_unwanted();
        }
        ReaderProgress {
            is_awaited: inner.is_awaited,
            last_read: inner.last_read,
        }
    }

    /// The service has responded.
    pub(super) fn end_prefetch(&self) {
        let mut inner = self.lock();
        inner.prefetch = Prefetch::Never;
        inner.release_unwanted();
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Bytes that the reader has not been given yet, if that is known.
    fn rest(&self) -> Option<u64> {
        let first = match &self.prefetched {
            Some(Ok(first)) => first.len() as u64,
            Some(Err(_)) | None => 0,
        };
        let incoming = self.incoming.as_ref()?.size_hint().exact()?;
        Some(first + incoming)
    }

    fn has_invalid_chunk_line(&self) -> bool {
        let lines = self.chunk_lines.as_ref();
        lines.is_some_and(|lines| !lines.are_valid())
    }

    fn wake_when_done(&mut self, waker: &Waker) {
        match &mut self.connection {
            Some(connection) => connection.clone_from(waker),
            None => self.connection = Some(waker.clone()),
        }
    }

    /// The reader is done.
    fn finish(&mut self, state: BodyState, after: AfterBody) {
        self.state = state;
        self.after = Some(after);
        self.is_awaited = false;
        self.release_unwanted();
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }

    /// Lets hyper know that the rest is not read, if that is so.
    fn release_unwanted(&mut self) {
        if self.after.is_some() && self.prefetch != Prefetch::Due {
            self.incoming = None;
            self.prefetched = None;
        }
    }
}

/// What a reader is given of a body.
pub(super) enum BodyEvent {
    /// A piece. After the last one, the reader is done.
    Data {
        bytes: Bytes,
        is_last: bool,
    },
    /// The end, with trailers.
    Trailers(HeaderMap),
    End,
    Failed(io::Error),
}

/// A request's body that its reader has not seen the end of.
#[derive(Debug)]
pub(super) struct BodyGuard {
    body: Arc<SharedBody>,
    is_done: bool,
}

impl BodyGuard {
    pub(super) fn new(body: Arc<SharedBody>) -> Self {
        let is_done = false;
        Self { body, is_done }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.body.timeout
    }

    /// The event loop of the connection.
    pub(super) fn runtime(&self) -> &Handle {
        &self.body.runtime
    }

    /// Bytes that were not given yet, if that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.body.lock().rest()
    }

    /// Waits for more of the body. After its end, or an error, the guard has nothing more to do.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BodyEvent> {
        let event = self.body.poll_event(cx);
        self.is_done = match &event {
            Poll::Pending => false,
            Poll::Ready(BodyEvent::Data { is_last, .. }) => *is_last,
            Poll::Ready(_) => true,
        };
        event
    }

    /// The client has not sent more in time.
    pub(super) fn time_out(mut self) -> io::Error {
        self.is_done = true;
        let mut inner = self.body.lock();
        inner.finish(BodyState::TimedOut, AfterBody::Close);
        let timeout = self.body.timeout;
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the request body timed out: the client sent nothing of it for {timeout:?}"),
        )
    }
}

impl SharedBody {
    fn poll_event(&self, cx: &mut Context<'_>) -> Poll<BodyEvent> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.prefetch = Prefetch::Never;
        let polled = match (inner.prefetched.take(), &mut inner.incoming) {
            (Some(first), _) => Poll::Ready(Some(first.map(http_body::Frame::data))),
            (None, Some(incoming)) => Pin::new(incoming).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        };
        let Poll::Ready(polled) = polled else {
            inner.is_awaited = true;
            return Poll::Pending;
        };
        if inner.has_invalid_chunk_line() {
            inner.finish(BodyState::Malformed, AfterBody::Close);
            let text = "the request body is malformed: a line before a chunk is not valid";
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return Poll::Ready(BodyEvent::Failed(error));
        }
        inner.is_awaited = false;
        inner.last_read = Some(Instant::now());
        Poll::Ready(
            match polled.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(bytes))) => {
                    let is_last = inner.rest() == Some(0);
                    if is_last {
                        inner.finish(BodyState::Complete, AfterBody::NextRequest);
                    }
                    BodyEvent::Data { bytes, is_last }
                }
                Some(Ok(Err(frame))) => {
                    inner.finish(BodyState::Complete, AfterBody::Close);
                    BodyEvent::Trailers(frame.into_trailers().unwrap_or_default())
                }
                Some(Err(error)) => {
                    inner.finish(BodyState::Malformed, AfterBody::Close);
                    BodyEvent::Failed(explain(&error))
                }
                None => {
                    inner.finish(BodyState::Complete, AfterBody::NextRequest);
                    BodyEvent::End
                }
            },
        )
    }
}

/// The reader wants no more.
impl Drop for BodyGuard {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut inner = self.body.lock();
        // hyper may yet find the end of a chunked one, but then trailers before it are missed.
        let after = match inner.rest().is_some_and(|rest| rest <= SMALL) {
            true => AfterBody::NextRequest,
            false => AfterBody::Close,
        };
        let state = inner.state;
        inner.finish(state, after);
    }
}

/// hyper's error, in the words of a server: whose fault it is.
fn explain(error: &hyper::Error) -> io::Error {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io)
            if matches!(
                io.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            ) =>
        {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the request body is malformed: {io}"),
            )
        }
        _ => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the request body was cut off: the client closed the connection",
        ),
    }
}
