use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::progress::Answering;
use crate::{BoxError, error::error_text};

pin_project! {
    /// The body of a response: the service's, or a page of the server's own.
    ///
    /// The request counts as running until this is dropped, which hyper does at its end.
    pub(super) struct ResponseBody<B> {
        #[pin]
        content: Content<B>,
        answering: Answering,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Service { #[pin] body: B },
        Page { text: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn service(body: B, answering: Answering) -> Self {
        Self {
            content: Content::Service { body },
            answering,
        }
    }

    pub(super) fn page(text: Bytes, answering: Answering) -> Self {
        Self {
            content: Content::Page { text: Some(text) },
            answering,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        match this.content.project() {
            ContentProj::Service { body } => body.poll_frame(cx).map_err(|error| {
                let error = error.into();
                tracing::error!(
                    error = error_text(&*error),
                    "the response body failed; the connection is cut"
                );
                this.answering.progress().set_broken();
                error
            }),
            ContentProj::Page { text } => {
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service { body } => body.is_end_stream(),
            Content::Page { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service { body } => body.size_hint(),
            Content::Page { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
