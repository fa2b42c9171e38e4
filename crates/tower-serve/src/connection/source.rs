use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::progress::Progress;

/// Where the body of a request comes from: hyper, or what the connection has taken from there.
pub(super) struct Source(Arc<Mutex<State>>);

struct State {
    incoming: Incoming,
    /// Taken by the connection.
    first: Option<Result<Bytes, hyper::Error>>,
    /// The service has begun to read.
    is_wanted: bool,
}

impl Source {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self(Arc::new(Mutex::new(State {
            incoming,
            first: None,
            is_wanted: false,
        })))
    }

    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut state = self.lock();
        state.is_wanted = true;
        match state.first.take() {
            Some(first) => Poll::Ready(Some(first.map(Frame::data))),
            None => Pin::new(&mut state.incoming).poll_frame(cx),
        }
    }

    /// How many bytes were not given yet, if that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        let state = self.lock();
        let first = match &state.first {
            Some(Ok(first)) => first.len() as u64,
            Some(Err(_)) | None => 0,
        };
        state.incoming.size_hint().exact().map(|rest| first + rest)
    }

    /// What the connection keeps of it.
    pub(super) fn ahead(&self) -> Ahead {
        Ahead {
            held: Some(Self(self.0.clone())),
            source: Arc::downgrade(&self.0),
        }
    }

    fn take_first(&self, cx: &mut Context<'_>, progress: &Progress) {
        let mut state = self.lock();
        if state.is_wanted || state.first.is_some() {
            return;
        }
        if let Poll::Ready(Some(first)) = Pin::new(&mut state.incoming).poll_frame(cx) {
            // There are no trailers where the length is known.
            state.first = first.map(|frame| frame.into_data().ok()).transpose();
        }
        if state.incoming.is_end_stream() {
            // Under the lock, as the service may read it to its end at once.
            progress.set_arrived();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the first piece of a body while the service does not read it. When that is all, the client has nothing
/// more to send, which hyper does not tell.
pub(super) struct Ahead {
    /// The service may drop the body as soon as it gets it. Later, hyper must hear of that.
    held: Option<Source>,
    source: Weak<Mutex<State>>,
}

impl Ahead {
    /// To be called when the service waits, not before: hyper wakes the connection once more for what is taken.
    pub(super) fn look(&mut self, cx: &mut Context<'_>, progress: &Progress) {
        let later = || self.source.upgrade().map(Source);
        if let Some(source) = self.held.take().or_else(later) {
            source.take_first(cx, progress);
        }
    }
}
