//! The end of a response body on the event loop.

use std::{
    pin::Pin,
    sync::{Arc, MutexGuard},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::state::{Shared, State};
use crate::{BoxError, spool::Reading};

/// The end on the event loop: a response body.
pub struct Reader {
    shared: Arc<Shared>,
    reading: Option<Reading>,
    remaining: Option<u64>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, remaining: Option<u64>) -> Self {
        Self {
            shared,
            reading: None,
            remaining,
        }
    }
}

/// Lets a writer look again that waits for room.
fn tell_writer(shared: &Shared, state: MutexGuard<'_, State>) {
    let awaited = state.awaited;
    drop(state);
    if awaited {
        shared.progress.notify_one();
    }
}

/// Notes that a piece was taken.
fn deliver(
    shared: &Shared,
    mut state: MutexGuard<'_, State>,
    remaining: &mut Option<u64>,
    data: Bytes,
) -> Frame<Bytes> {
    state.taken += data.len() as u64;
    tell_writer(shared, state);
    if let Some(remaining) = remaining {
        *remaining = remaining.saturating_sub(data.len() as u64);
    }
    Frame::data(data)
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self {
            shared,
            reading,
            remaining,
        } = self.get_mut();
        loop {
            if let Some(read) = reading {
                let result = ready!(read.as_mut().poll(cx));
                *reading = None;
                let data = result?;
                let mut state = shared.state();
                state.read += data.len() as u64;
                return Poll::Ready(Some(Ok(deliver(shared, state, remaining, data))));
            }
            let mut state = shared.state();
            if let Some(data) = state.take() {
                return Poll::Ready(Some(Ok(deliver(shared, state, remaining, data))));
            }
            let unread = state.unread();
            if let Some(spool) = state.disk.spool().filter(|_| unread > 0) {
                *reading = Some(spool.read(state.read, unread));
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
        state.forget();
        tell_writer(&self.shared, state);
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
