use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::chunks::Chunks;
use crate::{Body, BoxError};

/// The body of a response of a [`WsgiService`](super::WsgiService): it asks the application for the next
/// piece where it is polled.
pub struct ResponseBody<C>(Kind<C>);

enum Kind<C> {
    /// Nothing of the application's is left to run.
    Plain(Body),
    Chunks(Chunks<C>),
}

impl<C> ResponseBody<C> {
    pub(super) fn plain(body: Body) -> Self {
        Self(Kind::Plain(body))
    }

    pub(super) fn chunks(chunks: Chunks<C>) -> Self {
        Self(Kind::Chunks(chunks))
    }
}

// The application's iterator is never pinned.
impl<C> Unpin for ResponseBody<C> {}

impl<C> http_body::Body for ResponseBody<C>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
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
