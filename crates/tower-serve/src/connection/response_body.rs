//! The body of a response, as hyper reads it: its end is the end of the exchange.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::handle::ExchangeGuard;
use crate::{BoxError, error::error_text};

pin_project! {
    /// The body of a response: the service's, or a text of the server itself.
    ///
    /// The request counts as running until this is dropped, which hyper does at its end.
    pub(super) struct ResponseBody<B> {
        #[pin]
        content: ResponseContent<B>,
        exchange: ExchangeGuard,
    }
}

pin_project! {
    #[project = ContentProj]
    enum ResponseContent<B> {
        Service { #[pin] body: B, error: Option<BoxError> },
        Server { text: Option<Bytes> },
    }
}

impl<B: Body> ResponseContent<B> {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body, error } => error.is_none() && body.is_end_stream(),
            Self::Server { text } => text.is_none(),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn service(body: B, exchange: ExchangeGuard) -> Self {
        Self {
            content: ResponseContent::Service { body, error: None },
            exchange,
        }
    }

    pub(super) fn of_server(text: Option<Bytes>, exchange: ExchangeGuard) -> Self {
        Self {
            content: ResponseContent::Server { text },
            exchange,
        }
    }
}

impl<B> ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Reports to the access log what is about to be sent.
    pub(super) fn record(response: &mut Response<Self>) {
        if response.body_mut().exchange.record().is_none() {
            return;
        }
        let announced = response.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = announced.or_else(|| response.body().size_hint().exact());
        let status = response.status();
        let exchange = &mut response.body_mut().exchange;
        let written = exchange.handle().lock().output.written();
        if let Some(record) = exchange.record() {
            record.set_response(status, length, written);
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
        let mut this = self.project();
        let frame = match this.content.as_mut().project() {
            ContentProj::Service { body, error } => {
                if let Some(error) = error.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                match ready!(body.poll_frame(cx)) {
                    Some(Err(failure)) => {
                        let failure = failure.into();
                        let cut = this.exchange.cut_text();
                        tracing::error!(
                            error = error_text(&*failure),
                            "the response body failed; {cut}"
                        );
                        this.exchange.handle().lock().set_response_failed();
                        *error = Some(failure);
                        // At an error hyper throws away what it has not written; now it writes that first.
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    frame => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
                }
            }
            ContentProj::Server { text } => {
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
        };
        if let Some(record) = this.exchange.record() {
            match &frame {
                Poll::Ready(Some(Ok(frame))) => {
                    record.add(frame.data_ref().map_or(0, Bytes::len));
                    // hyper asks for nothing after the last data, nor after trailers.
                    if frame.is_trailers() || this.content.is_end_stream() {
                        record.end();
                    }
                }
                Poll::Ready(None) => record.end(),
                Poll::Ready(Some(Err(_))) | Poll::Pending => {}
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Service { body, .. } => body.size_hint(),
            ResponseContent::Server { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
