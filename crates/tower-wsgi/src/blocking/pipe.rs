//! The way of a response body from a thread to the event loop: a little memory, then a file.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::{
    BoxError,
    budget::{Budget, Reservation},
    spool::{Reading, Spool},
};

/// The bytes of one body that wait in memory for their reader.
const MEMORY: usize = 256 * 1024;

/// How long a writer waits for a reader when there is no room left on disk either.
const STALL: Duration = Duration::from_secs(30);

/// How often a writer without disk space looks whether another body has given some back.
const RETRY: Duration = Duration::from_millis(100);

/// A pipe for a body of `size`, with as much disk as the budget has left.
pub(super) fn pipe(size: SizeHint, spooled: &Arc<Budget>) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            memory: VecDeque::new(),
            buffered: 0,
            spool: None,
            written: 0,
            read: 0,
            reservation: Reservation::new(spooled),
            trailers: None,
            end: None,
            waker: None,
            reader_gone: false,
        }),
        progress: Condvar::new(),
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
    };
    let reader = Reader {
        shared,
        reading: None,
        remaining: size.exact(),
    };
    (writer, reader)
}

struct Shared {
    state: Mutex<State>,
    /// The reader took something, or has left.
    progress: Condvar,
}

struct State {
    /// Older than what lies on disk: while something does, nothing is added here.
    memory: VecDeque<Bytes>,
    buffered: usize,
    spool: Option<Spool>,
    written: u64,
    read: u64,
    reservation: Reservation,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), BoxError>>,
    waker: Option<Waker>,
    reader_gone: bool,
}

impl Shared {
    // Nothing panics under the lock, so a poisoned one is still in order.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unread(&self) -> u64 {
        self.written - self.read
    }

    fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.unread() == 0 && self.trailers.is_none()
    }
}

/// Wakes the reader after the lock is gone, so that it need not wait for it.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The end on the thread. Dropped unfinished, it breaks the body off.
pub(super) struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Hands a frame over. Blocks while it writes to disk, or waits for room there.
    pub(super) fn send(&mut self, frame: Frame<Bytes>) -> Result<(), SendError> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => self.send_data(data),
            Err(frame) => {
                self.shared.state().trailers = frame.into_trailers().ok();
                Ok(())
            }
        }
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), SendError> {
        let mut state = self.shared.state();
        if state.reader_gone {
            return Err(SendError::ClientGone);
        }
        let fits = state.buffered == 0 || state.buffered + data.len() <= MEMORY;
        if state.unread() == 0 && fits {
            state.buffered += data.len();
            state.memory.push_back(data);
            wake(state);
            return Ok(());
        }
        let (spool, position) = self.reserve(state, data.len())?;
        spool.write_at(&data, position).map_err(SendError::Disk)?;
        let mut state = self.shared.state();
        state.written += data.len() as u64;
        wake(state);
        Ok(())
    }

    /// Finds room on disk, and where it is.
    fn reserve<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        length: usize,
    ) -> Result<(Spool, u64), SendError> {
        let mut read = state.read;
        let mut since = Instant::now();
        loop {
            if state.reader_gone {
                return Err(SendError::ClientGone);
            }
            if state.unread() == 0 && state.written > 0 {
                // The reader does not look at the file before `written` grows again.
                (state.written, state.read, read) = (0, 0, 0);
                state.reservation.clear();
                if let Some(spool) = state.spool.clone() {
                    drop(state);
                    spool.clear().map_err(SendError::Disk)?;
                    state = self.shared.state();
                }
            }
            let position = state.written;
            let total = usize::try_from(position).unwrap_or(usize::MAX);
            if state.reservation.grow_to(total.saturating_add(length)) {
                if let Some(spool) = &state.spool {
                    return Ok((spool.clone(), position));
                }
                drop(state);
                let spool = Spool::create().map_err(SendError::Disk)?;
                self.shared.state().spool = Some(spool.clone());
                return Ok((spool, position));
            }
            if state.read > read {
                (read, since) = (state.read, Instant::now());
            } else if since.elapsed() > STALL {
                return Err(SendError::ClientStalled);
            }
            let wait = self.shared.progress.wait_timeout(state, RETRY);
            (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The body is complete.
    pub(super) fn finish(self) {
        self.end(Ok(()));
    }

    /// The body breaks off here.
    pub(super) fn fail(self, error: BoxError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), BoxError>) {
        let mut state = self.shared.state();
        state.end.get_or_insert(end);
        wake(state);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Err("the response body was broken off".into()));
    }
}

/// Why a frame could not be sent.
#[derive(Debug)]
pub(super) enum SendError {
    ClientGone,
    ClientStalled,
    Disk(io::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientGone => f.write_str("the client has left"),
            Self::ClientStalled => write!(
                f,
                "the client took nothing for {STALL:?}, and the pool has no disk space left"
            ),
            Self::Disk(error) => write!(f, "cannot write to the temporary file: {error}"),
        }
    }
}

/// The end on the event loop: a response body.
pub(super) struct Reader {
    shared: Arc<Shared>,
    reading: Option<Reading>,
    remaining: Option<u64>,
}

impl Reader {
    fn deliver(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(reading) = &mut this.reading {
                let result = ready!(reading.as_mut().poll(cx));
                this.reading = None;
                let data = result?;
                this.shared.state().read += data.len() as u64;
                this.shared.progress.notify_one();
                return this.deliver(data);
            }
            let mut state = this.shared.state();
            if let Some(data) = state.memory.pop_front() {
                state.buffered -= data.len();
                drop(state);
                return this.deliver(data);
            }
            let unread = state.unread();
            if let Some(spool) = state.spool.as_ref().filter(|_| unread > 0) {
                let reading = spool.read(state.read, unread);
                drop(state);
                this.reading = Some(reading);
                continue;
            }
            if let Some(end) = &mut state.end {
                std::mem::replace(end, Ok(()))?;
                let trailers = state.trailers.take();
                return Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))));
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.state();
        self.reading.is_none() && state.is_empty() && matches!(state.end, Some(Ok(())))
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.reader_gone = true;
        state.memory.clear();
        drop(state);
        self.shared.progress.notify_one();
    }
}
