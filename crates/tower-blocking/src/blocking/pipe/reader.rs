//! The reading end of a pipe, on the event loop.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, MutexGuard},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::buffer::{Pipe, PipeState};
use crate::{Body, BoxError, spool::Reading};

/// The reading end of a pipe: a response body.
pub struct BodyReader {
    pipe: Arc<Pipe>,
    reading: Option<Reading>,
    remaining: Option<u64>,
    /// What continues the body, after all that was written.
    rest: Option<Body>,
}

impl BodyReader {
    pub(super) fn new(pipe: Arc<Pipe>, remaining: Option<u64>) -> Self {
        Self {
            pipe,
            reading: None,
            remaining,
            rest: None,
        }
    }
}

/// Notifies a writer that waits for room.
fn notify_writer(pipe: &Pipe, state: MutexGuard<'_, PipeState>) {
    let is_waiting = state.is_writer_waiting;
    drop(state);
    if is_waiting {
        pipe.progress.notify_one();
    }
}

/// Records that a piece was taken.
fn deliver(
    pipe: &Pipe,
    mut state: MutexGuard<'_, PipeState>,
    remaining: &mut Option<u64>,
    data: Bytes,
) -> Frame<Bytes> {
    state.taken += data.len() as u64;
    notify_writer(pipe, state);
    if let Some(remaining) = remaining {
        *remaining = remaining.saturating_sub(data.len() as u64);
    }
    Frame::data(data)
}

impl http_body::Body for BodyReader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self {
            pipe,
            reading,
            remaining,
            rest,
        } = self.get_mut();
        loop {
            if let Some(rest) = rest {
                return Pin::new(rest).poll_frame(cx);
            }
            if let Some(read) = reading {
                let result = ready!(read.as_mut().poll(cx));
                *reading = None;
                let data = result?;
                let mut state = pipe.state();
                state.read += data.len() as u64;
                return Poll::Ready(Some(Ok(deliver(pipe, state, remaining, data))));
            }
            let mut state = pipe.state();
            if let Some(data) = state.take() {
                return Poll::Ready(Some(Ok(deliver(pipe, state, remaining, data))));
            }
            let unread = state.unread();
            if let Some(spool) = state.disk.spool().filter(|_| unread > 0) {
                *reading = Some(spool.read(state.read, unread));
                continue;
            }
            if let Some(end) = &mut state.end {
                std::mem::replace(end, Ok(()))?;
                *rest = state.rest.take();
                if rest.is_some() {
                    continue;
                }
                let trailers = state.trailers.take();
                return Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))));
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }

    fn is_end_stream(&self) -> bool {
        if let Some(rest) = &self.rest {
            return rest.is_end_stream();
        }
        let state = self.pipe.state();
        self.reading.is_none() && state.is_empty() && matches!(state.end, Some(Ok(())))
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(rest) = &self.rest {
            return rest.size_hint();
        }
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        let mut state = self.pipe.state();
        state.is_reader_gone = true;
        state.forget();
        let rest = state.rest.take();
        notify_writer(&self.pipe, state);
        drop(rest);
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").finish_non_exhaustive()
    }
}
