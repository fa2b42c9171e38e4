//! The body of a response: what the application returns, and what it writes in the meantime.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    head::{ContentLengthBudget, Truncated},
    shared_response::{ResponseGuard, SharedResponse},
};
use crate::{Body, BoxError};

/// The response body of a [`WsgiService`](super::WsgiService). Each poll asks the application for the next piece.
pub struct ResponseBody<C>(Kind<C>);

enum Kind<C> {
    /// No code of the application is left to run.
    Plain(Body),
    /// Boxed, so that a response with a plain body, as most are, is small when it is moved.
    Chunks(Box<Chunks<C>>),
}

impl<C> ResponseBody<C> {
    pub(super) fn plain(body: Body) -> Self {
        Self(Kind::Plain(body))
    }

    pub(super) fn chunks(chunks: Chunks<C>) -> Self {
        Self(Kind::Chunks(Box::new(chunks)))
    }
}

// The application's iterator is never pinned.
impl<C> Unpin for ResponseBody<C> {}

impl<C: Pieces> http_body::Body for ResponseBody<C> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Plain(body) => Pin::new(body).poll_frame(cx),
            Kind::Chunks(chunks) => chunks
                .poll(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Plain(body) => body.is_end_stream(),
            Kind::Chunks(chunks) => chunks.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Plain(body) => body.size_hint(),
            Kind::Chunks(chunks) => chunks.size_hint(),
        }
    }
}

impl<C> fmt::Debug for ResponseBody<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

type Piece = Result<Bytes, BoxError>;

/// What an application returns: an iterator, which is always ready, or a stream.
pub trait Pieces {
    /// The next piece, which may be empty.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>>;

    /// Whether it is known that no other piece follows.
    fn is_last(&self) -> bool;
}

impl<C: Iterator<Item = Piece>> Pieces for C {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(self.next())
    }

    fn is_last(&self) -> bool {
        self.size_hint().1 == Some(0)
    }
}

/// The pieces that an application returns, and those that it writes while it is iterated over.
pub(super) struct Chunks<C> {
    response: ResponseGuard,
    /// Dropped, and so closed, with the body and not at their end: the client does not have to wait for `close`.
    chunks: C,
    /// Whether `chunks` must not be asked again.
    is_over: bool,
    first: Option<Bytes>,
    /// What was returned after a piece was written.
    later: Option<Piece>,
    budget: ContentLengthBudget,
    /// Whether the next poll is pending, so that the server sends what it has.
    pauses: bool,
}

impl<C: Pieces> Chunks<C> {
    pub(super) fn new(response: ResponseGuard, chunks: C) -> Self {
        Self {
            response,
            chunks,
            is_over: false,
            first: None,
            later: None,
            budget: ContentLengthBudget::default(),
            pauses: false,
        }
    }

    pub(super) fn response(&self) -> &Arc<SharedResponse> {
        &self.response.0
    }

    /// The next piece that is not empty: what was written comes before what was returned after it.
    #[inline]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if let Some(piece) = self.later.take() {
            return Poll::Ready(Some(piece));
        }
        loop {
            if let Some(written) = self.response.0.take_buffered() {
                return Poll::Ready(Some(Ok(written)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            self.response.0.wake_on_write(cx.waker());
            let Poll::Ready(next) = self.chunks.poll_piece(cx) else {
                let written = self.response.0.take_buffered();
                return written.map_or(Poll::Pending, |written| Poll::Ready(Some(Ok(written))));
            };
            self.is_over = !matches!(next, Some(Ok(_)));
            if matches!(&next, Some(Ok(piece)) if piece.is_empty()) {
                continue;
            }
            let Some(written) = self.response.0.take_buffered() else {
                return Poll::Ready(next);
            };
            self.later = next;
            return Poll::Ready(Some(Ok(written)));
        }
    }

    /// Sets the first piece, if there is one, and what the `Content-Length` allows.
    pub(super) fn begin(&mut self, first: Option<Bytes>, budget: ContentLengthBudget) {
        self.first = first;
        self.budget = budget;
    }

    /// Sends nothing more.
    pub(super) fn discard(&mut self) {
        self.is_over = true;
        self.later = None;
        self.begin(None, ContentLengthBudget::default());
    }

    /// The whole body, if it is the first piece and the iterator's size hint says that no other follows, as that of a
    /// list does. An iterator that had to be asked may have work to do when it is closed, for which the client does
    /// not have to wait.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        let says_so = !self.is_over && self.chunks.is_last();
        let is_last = self.later.is_none() && says_so;
        let length = self.first.as_ref().map_or(0, Bytes::len) as u64;
        if !is_last || self.size_hint().exact() != Some(length) {
            return None;
        }
        Some(self.first.take().unwrap_or_default())
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        // A pool's thread passes each piece to the event loop. On the event loop itself, the server sends it now.
        if std::mem::take(&mut self.pauses) && !self.response.0.waits() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None if self.budget.is_complete() => None,
            None => ready!(self.poll_next(cx)),
        };
        let mut piece = match next {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                self.discard();
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                let end = std::mem::take(&mut self.budget).end();
                return Poll::Ready(end.err().map(|error| Err(error.into())));
            }
        };
        if let Some(Truncated) = self.budget.take(&mut piece) {
            warn_of_excess();
        }
        if piece.is_empty() {
            return Poll::Ready(None);
        }
        self.pauses = true;
        Poll::Ready(Some(Ok(piece)))
    }

    /// Whether no piece is left, as far as that is known without a call of the application.
    pub(super) fn is_end(&self) -> bool {
        if self.first.is_some() {
            return false;
        }
        self.budget.is_complete() || self.has_no_more() && self.budget.end().is_ok()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        if !self.budget.is_known() && self.has_no_more() {
            let first = self.first.as_ref().map_or(0, Bytes::len);
            return SizeHint::with_exact(first as u64);
        }
        self.budget.size_hint()
    }

    fn has_no_more(&self) -> bool {
        self.later.is_none() && (self.is_over || self.chunks.is_last())
    }
}

pub(super) fn warn_of_excess() {
    tracing::warn!("the application gave more than its Content-Length says; the rest is not sent");
}
