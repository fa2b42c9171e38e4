//! The body of a response, as it is sent on a stream.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::stream::StreamProgress;
use crate::{
    BoxError,
    connection::response_body::ResponseBody,
    error::{error_text, panic_text},
};

/// The largest piece that hyper is given at once, which it keeps until the client has room for all of it. That is the size of a
/// frame, too.
const PIECE: usize = 16 << 10;

pin_project! {
    /// The body of a response, as it is sent on a stream: in pieces, not at all where HTTP has none, and never longer than
    /// announced. One that ends early, fails or panics ends in an error, for which hyper resets the stream.
    pub(super) struct StreamBody<B> {
        #[pin]
        body: ResponseBody<B>,
        // Of a larger piece of the body.
        rest: Bytes,
        // Bytes that were announced and not given yet.
        announced: Option<u64>,
        is_bodiless: bool,
        failure: Option<Failure>,
        progress: Arc<StreamProgress>,
    }
}

/// An error, which hyper does not get at once: h2 throws away what is not written of a stream that is reset.
struct Failure {
    error: Option<BoxError>,
    turns: u8,
}

impl Failure {
    fn new(error: BoxError) -> Self {
        // `Streams` may run a stream that wakes itself twice before hyper writes.
        let turns = 2;
        Self {
            error: Some(error),
            turns,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BoxError> {
        if let Some(turns) = self.turns.checked_sub(1) {
            self.turns = turns;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.error.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<B> StreamBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Makes a response to a request with this method ready for its stream.
    pub(super) fn of_response(
        mut response: Response<ResponseBody<B>>,
        method: &Method,
        progress: Arc<StreamProgress>,
    ) -> Response<Self> {
        let status = response.status();
        let has_none = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let is_bodiless = has_none || method == Method::HEAD;
        let length = response.body().size_hint().exact();
        let headers = response.headers_mut();
        if status == StatusCode::NO_CONTENT {
            // RFC 9110 section 8.6.
            headers.remove(header::CONTENT_LENGTH);
        }
        let announced = headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        if method == Method::HEAD
            && !has_none
            && let (None, Some(length)) = (announced, length)
        {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response.map(|body| Self {
            body,
            rest: Bytes::new(),
            announced,
            is_bodiless,
            failure: None,
            progress,
        })
    }
}

impl<B> Body for StreamBody<B>
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
        if *this.is_bodiless {
            return Poll::Ready(None);
        }
        if let Some(failure) = this.failure {
            return failure.poll(cx).map(|error| Some(Err(error)));
        }
        if this.rest.is_empty() {
            this.progress.set_waiting();
            let poll = catch_unwind(AssertUnwindSafe(|| this.body.poll_frame(cx)));
            let frame = match poll {
                Ok(poll) => ready!(poll).transpose(),
                Err(panic) => {
                    let panic = panic_text(&*panic);
                    tracing::error!(panic, "the response panicked; the stream is reset");
                    Err("the response panicked".into())
                }
            };
            let error = match frame.map(|frame| frame.map(Frame::into_data)) {
                Ok(Some(Ok(data))) => {
                    *this.rest = data;
                    None
                }
                Ok(Some(Err(trailers))) if !is_short(*this.announced) => {
                    return Poll::Ready(Some(Ok(trailers)));
                }
                Ok(None) if !is_short(*this.announced) => return Poll::Ready(None),
                Ok(Some(Err(_)) | None) => {
                    let text = "the response is shorter than its Content-Length";
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                    tracing::error!(
                        error = error_text(&error),
                        "the response is not whole; the stream is reset"
                    );
                    Some(error.into())
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                let failure = this.failure.insert(Failure::new(error));
                return failure.poll(cx).map(|error| Some(Err(error)));
            }
        }
        let mut length = this.rest.len().min(PIECE);
        if let Some(announced) = this.announced {
            // The client would take what is beyond it for an error.
            length = length.min(usize::try_from(*announced).unwrap_or(usize::MAX));
            *announced -= length as u64;
            if *announced == 0 {
                this.rest.truncate(length);
            }
        }
        this.progress.add_piece();
        Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        let is_given = match self.announced {
            Some(announced) => announced == 0,
            None => self.body.is_end_stream(),
        };
        self.is_bodiless || self.rest.is_empty() && is_given
    }

    fn size_hint(&self) -> SizeHint {
        match self.announced {
            Some(announced) => SizeHint::with_exact(announced),
            None => self.body.size_hint(),
        }
    }
}

/// Whether there should be more of the body.
fn is_short(announced: Option<u64>) -> bool {
    announced.is_some_and(|announced| announced > 0)
}
