//! The pieces of a body, as the application gives and writes them.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::SizeHint;

use super::{
    left::{Fit, Left},
    start_response::Sending,
};
use crate::BoxError;

type Piece = Result<Bytes, BoxError>;

/// What an application has returned, and what it writes while that is iterated.
pub(super) struct Chunks<C> {
    /// `None` after their end: then they are closed.
    chunks: Option<C>,
    sending: Sending,
    first: Option<Bytes>,
    /// What came with a piece that was written.
    later: VecDeque<Piece>,
    left: Left,
    /// Whether the next poll waits, so that the server sends what it has.
    pause: bool,
}

impl<C: Iterator<Item = Piece>> Chunks<C> {
    pub(super) fn new(sending: Sending, chunks: C) -> Self {
        let mut later = VecDeque::new();
        sending.0.take_written(&mut later);
        Self {
            chunks: Some(chunks),
            sending,
            first: None,
            later,
            left: Left::default(),
            pause: false,
        }
    }

    /// The next piece that is not empty: what was written comes before what was returned after it.
    pub(super) fn next(&mut self) -> Option<Piece> {
        if let Some(piece) = self.later.pop_front() {
            return Some(piece);
        }
        loop {
            let next = self.chunks.as_mut()?.next();
            if !matches!(next, Some(Ok(_))) {
                self.chunks = None;
            }
            self.sending.0.take_written(&mut self.later);
            match next {
                Some(Ok(piece)) if piece.is_empty() => {}
                next if self.later.is_empty() => return next,
                next => self.later.extend(next),
            }
            if let Some(piece) = self.later.pop_front() {
                return Some(piece);
            }
        }
    }

    /// The first piece is there, and with it the length that the head says.
    pub(super) fn begin(&mut self, first: Bytes, left: Left) {
        self.first = Some(first);
        self.left = left;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        // A pool's thread hands each piece over to the event loop; here it is the server's turn.
        if std::mem::take(&mut self.pause) && self.sending.0.early.is_none() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None if self.left.is_complete() => None,
            None => self.next(),
        };
        let mut piece = match next {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                self.later.clear();
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                let end = std::mem::take(&mut self.left).end();
                return Poll::Ready(end.err().map(|error| Err(error.into())));
            }
        };
        self.pause = true;
        if self.left.fit(&mut piece) == Fit::Cut {
            warn_of_excess();
        }
        Poll::Ready(Some(Ok(piece)))
    }

    /// Whether no piece is left, as far as can be known without asking for it.
    pub(super) fn is_end(&self) -> bool {
        if self.first.is_some() {
            return false;
        }
        self.left.is_complete() || self.is_over() && self.left.end().is_ok()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.first {
            Some(first) if !self.left.is_known() && self.is_over() => {
                SizeHint::with_exact(first.len() as u64)
            }
            _ => self.left.size_hint(),
        }
    }

    fn is_over(&self) -> bool {
        let mut chunks = self.chunks.iter();
        self.later.is_empty() && chunks.all(|chunks| chunks.size_hint().1 == Some(0))
    }
}

pub(super) fn warn_of_excess() {
    tracing::warn!("the application gave more than its Content-Length says; the rest is not sent");
}
