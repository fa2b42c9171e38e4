//! A response that comes later: a stream of pieces, and the future of its head.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http::Response;
use tower_blocking::internal::BodyWriter;

use super::{
    body::{Chunks, Pieces},
    failure::FailedRequest,
    head::ContentLengthBudget,
    respond::{begin, send_file},
    response_state::Returned,
    shared_response::SharedResponse,
};
use crate::{Body, BoxError};

type PieceStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A response that comes later, which an [`Application`](super::Application) returns in place of its pieces; made by
/// [`StartResponse::defer`](super::StartResponse::defer).
///
/// The event loop polls its stream. The rules are those for chunks: `start_response` has to be called before the first
/// piece that is not empty, or before the end; the head is sent with that piece; empty pieces are skipped; the
/// `Content-Length` is kept to; an error before the first piece is a 500, a later one breaks the connection. A panic of
/// the stream is an error as well. A stream whose size hint says, with its first piece, that no other follows is sent with
/// a `Content-Length`.
///
/// The next piece is not asked for before the server has taken the previous one and has room for another.
/// [`send_file`](super::StartResponse::send_file) has its effect at the first piece or at the end of the stream; the
/// pieces are then not sent.
///
/// **When the client leaves**, or the server gives the response up at its deadline, the stream is dropped: that is its
/// cancellation, and PEP 3333's `close()`. It happens once, on every path, on the thread of the event loop.
#[must_use = "a deferred response that is not returned breaks off"]
pub struct Deferred {
    stream: PieceStream,
    /// Whether the stream waits. Until it ends something may be written, also if it gives no more pieces.
    is_pending: bool,
    /// Sends what was written before on a thread of a pool.
    writer: Option<(BodyWriter, ContentLengthBudget)>,
}

impl Deferred {
    pub(super) fn new(
        stream: PieceStream,
        writer: Option<(BodyWriter, ContentLengthBudget)>,
    ) -> Self {
        Self {
            stream,
            is_pending: true,
            writer,
        }
    }

    /// What was written before, and what the `Content-Length` allows after it.
    pub(super) fn take_writer(&mut self) -> Option<(BodyWriter, ContentLengthBudget)> {
        self.writer.take()
    }
}

impl Pieces for Deferred {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let poll = || self.stream.as_mut().poll_next(cx);
        let piece = catch_unwind(AssertUnwindSafe(poll))
            .unwrap_or_else(|_| Poll::Ready(Some(Err("the application panicked".into()))));
        self.is_pending = piece.is_pending();
        piece
    }

    fn is_last(&self) -> bool {
        !self.is_pending && self.stream.size_hint().1 == Some(0)
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").finish_non_exhaustive()
    }
}

/// The head of a deferred response, and the first piece of its body.
pub(super) struct DeferredHead {
    response: Arc<SharedResponse>,
    /// `None` when the response has begun.
    chunks: Option<Chunks<Deferred>>,
    request: FailedRequest,
}

impl DeferredHead {
    pub(super) fn new(chunks: Chunks<Deferred>, request: FailedRequest) -> Self {
        Self {
            response: Arc::clone(chunks.response()),
            chunks: Some(chunks),
            request,
        }
    }

    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Body>, BoxError>> {
        let response = &*self.response;
        let mut chunks = self.chunks.take().expect("future polled after completion");
        let first = match chunks.poll_next(cx) {
            Poll::Ready(first) => first.transpose()?,
            // The head is final, and no body follows it.
            Poll::Pending if response.is_bodiless() => None,
            Poll::Pending => {
                self.chunks = Some(chunks);
                return Poll::Pending;
            }
        };
        if let Returned::File(file) = response.returned() {
            return Poll::Ready(send_file(response, file));
        }
        let response = begin(response.begin(), first, chunks)?;
        Poll::Ready(Ok(response.map(Body::new)))
    }
}

impl Future for DeferredHead {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let response = ready!(self.poll_begin(cx));
        Poll::Ready(response.unwrap_or_else(|error| self.request.fail(&self.response, &*error)))
    }
}
