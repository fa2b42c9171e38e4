//! The pieces of a body, as the application gives and writes them.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::SizeHint;

use super::{
    left::{Fit, Left},
    sending::Sending,
};
use crate::BoxError;

type Piece = Result<Bytes, BoxError>;

/// What an application has returned, and what it writes while that is iterated.
pub(super) struct Chunks<C> {
    sending: Sending,
    /// Dropped, and so closed, with the body and not at their end: the client need not wait for that.
    chunks: C,
    /// Whether they are not to be asked again.
    over: bool,
    first: Option<Bytes>,
    /// What was returned after a piece was written.
    later: Option<Piece>,
    left: Left,
    /// Whether the next poll waits, so that the server sends what it has.
    pause: bool,
}

impl<C: Iterator<Item = Piece>> Chunks<C> {
    pub(super) fn new(sending: Sending, chunks: C) -> Self {
        Self {
            sending,
            chunks,
            over: false,
            first: None,
            later: None,
            left: Left::default(),
            pause: false,
        }
    }

    /// The next piece that is not empty: what was written comes before what was returned after it.
    pub(super) fn next(&mut self) -> Option<Piece> {
        if let Some(piece) = self.later.take() {
            return Some(piece);
        }
        loop {
            if let Some(written) = self.sending.0.take_written() {
                return Some(Ok(written));
            }
            if self.over {
                return None;
            }
            let next = self.chunks.next();
            self.over = !matches!(next, Some(Ok(_)));
            if matches!(&next, Some(Ok(piece)) if piece.is_empty()) {
                continue;
            }
            let Some(written) = self.sending.0.take_written() else {
                return next;
            };
            self.later = next;
            return Some(Ok(written));
        }
    }

    /// The first piece is there, or there is none, and the length that the head says.
    pub(super) fn begin(&mut self, first: Option<Bytes>, left: Left) {
        self.first = first;
        self.left = left;
    }

    /// Nothing of it is to be sent.
    pub(super) fn discard(&mut self) {
        self.over = true;
        self.later = None;
        self.begin(None, Left::default());
    }

    /// The whole body, where it is the first piece and the iterator says by itself that none comes after it, as
    /// lists do. One that had to be asked may have something to do when it is closed, and the client need not
    /// wait for that.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        let says_so = !self.over && self.chunks.size_hint().1 == Some(0);
        let is_last = self.later.is_none() && says_so;
        let length = self.first.as_ref().map_or(0, Bytes::len) as u64;
        if !is_last || self.size_hint().exact() != Some(length) {
            return None;
        }
        Some(self.first.take().unwrap_or_default())
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
                self.discard();
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                let end = std::mem::take(&mut self.left).end();
                return Poll::Ready(end.err().map(|error| Err(error.into())));
            }
        };
        if self.left.fit(&mut piece) == Fit::Cut {
            warn_of_excess();
        }
        if piece.is_empty() {
            return Poll::Ready(None);
        }
        self.pause = true;
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
        if !self.left.is_known() && self.is_over() {
            let first = self.first.as_ref().map_or(0, Bytes::len);
            return SizeHint::with_exact(first as u64);
        }
        self.left.size_hint()
    }

    fn is_over(&self) -> bool {
        self.later.is_none() && (self.over || self.chunks.size_hint().1 == Some(0))
    }
}

pub(super) fn warn_of_excess() {
    tracing::warn!("the application gave more than its Content-Length says; the rest is not sent");
}
