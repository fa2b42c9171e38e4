use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{
    progress::{BodyState, Progress, Receiving},
    source::{Ahead, Source},
};
use crate::BoxError;

/// hyper reads at least this much at once, so that a smaller rest of a body which nobody wants is probably
/// there already and costs the connection nothing.
const SMALL: u64 = 8 << 10;

/// Fields that must not be merged from a trailer section (RFC 9110 section 6.5.1): they frame or route the
/// message, or were to be known before its content.
const FORBIDDEN_TRAILERS: [HeaderName; 31] = [
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::HOST,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::CACHE_CONTROL,
    header::MAX_FORWARDS,
    header::PRAGMA,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// The body of a request, as it arrives from the client.
///
/// It is read from the client only as fast as it is polled. With `Expect: 100-continue`, the first poll
/// sends the `100 Continue`.
///
/// # Errors
///
/// A body that does not arrive whole ends in a [`std::io::Error`], never as if it were complete. Its kind says why:
///
/// * [`TimedOut`](io::ErrorKind::TimedOut): the client sent nothing for the body time-out;
/// * [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): the client closed the connection;
/// * [`InvalidData`](io::ErrorKind::InvalidData): the chunked coding is malformed (RFC 9112 section 7.1).
///
/// A service that then fails with any error is answered for with 408 in the first case and 400 in the
/// others. The connection closes after the response in every case.
///
/// # Trailers
///
/// Trailer fields arrive as the last frame, without those that RFC 9110 section 6.5.1 forbids there.
/// The connection closes after the response to a request that had any.
pub struct RequestBody {
    /// If there is one.
    source: Option<Source>,
    /// Until the end was seen.
    receiving: Option<Receiving>,
    timer: Option<Box<Timer>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, progress: &Arc<Progress>) -> Self {
        let chunked = inner.size_hint().exact().is_none();
        let source = (!inner.is_end_stream()).then(|| Source::new(inner));
        let receiving = source
            .is_some()
            .then(|| Receiving::begin(progress, chunked));
        Self {
            source,
            receiving,
            timer: None,
        }
    }

    /// To learn when all of it is here, if it probably comes in one piece.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        let source = self.source.as_ref();
        let small = source.filter(|source| source.rest().is_some_and(|rest| rest <= SMALL));
        small.map(Source::ahead)
    }

    fn rest(&self) -> Option<u64> {
        self.source.as_ref().map_or(Some(0), Source::rest)
    }

    fn has_bad_chunks(&self) -> bool {
        let receiving = self.receiving.as_ref();
        receiving.is_some_and(Receiving::has_bad_chunks)
    }

    fn end(&mut self, trailers: bool) {
        self.timer = None;
        if let Some(receiving) = self.receiving.take() {
            receiving.end(trailers);
        }
    }

    fn fail(&mut self, state: BodyState) {
        self.timer = None;
        if let Some(receiving) = self.receiving.take() {
            receiving.fail(state);
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(receiving) = &self.receiving else {
            return Poll::Pending;
        };
        let progress = receiving.progress();
        let timeout = progress.body_timeout();
        let timer = self.timer.get_or_insert_with(|| {
            // The body may be read on a thread that knows of no runtime.
            let _context = progress.runtime().enter();
            Box::new(Timer::new(timeout))
        });
        timer.poll_expired(cx).map(|()| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the request body timed out: the client sent nothing of it for {timeout:?}"
                ),
            )
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let (Some(source), Some(_)) = (&this.source, &this.receiving) else {
            return Poll::Ready(None);
        };
        let polled = source.poll_frame(cx);
        if this.has_bad_chunks() && !polled.is_pending() {
            this.fail(BodyState::Malformed);
            let text = "the request body is malformed: a line before a chunk is not valid";
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return Poll::Ready(Some(Err(error.into())));
        }
        let frame = match polled {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => {
                this.fail(BodyState::Malformed);
                return Poll::Ready(Some(Err(explain(&error).into())));
            }
            Poll::Ready(None) => {
                this.end(false);
                return Poll::Ready(None);
            }
            Poll::Pending => {
                if let Some(receiving) = &this.receiving {
                    receiving.progress().due().set_body_awaited(true);
                }
                return this.poll_timer(cx).map(|error| {
                    this.fail(BodyState::TimedOut);
                    Some(Err(error.into()))
                });
            }
        };
        if let Some(timer) = &mut this.timer {
            timer.restart();
        }
        if let Some(receiving) = &this.receiving {
            receiving.progress().due().set_body_taken();
        }
        match frame.into_trailers() {
            Ok(mut trailers) => {
                this.end(true);
                remove_forbidden(&mut trailers);
                let frame = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                Poll::Ready(frame)
            }
            Err(frame) => {
                if this.rest() == Some(0) {
                    this.end(false);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.receiving.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.receiving.is_none() {
            return SizeHint::with_exact(0);
        }
        self.rest()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(receiving) = &self.receiving else {
            return;
        };
        // hyper may yet find the end of a chunked one, but nobody sees whether there are trailers before it.
        if self.rest().is_none_or(|rest| rest > SMALL) {
            receiving.progress().set_closing();
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

fn remove_forbidden(trailers: &mut HeaderMap) {
    for name in FORBIDDEN_TRAILERS {
        trailers.remove(name);
    }
}

/// hyper's error, in the words of a server: whose fault it is.
fn explain(error: &hyper::Error) -> io::Error {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io)
            if matches!(
                io.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            ) =>
        {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the request body is malformed: {io}"),
            )
        }
        _ => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the request body was cut off: the client closed the connection",
        ),
    }
}

/// Expires when nothing restarted it for its time.
struct Timer {
    timeout: Duration,
    deadline: Instant,
    // It fires late rather than being moved with every frame.
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    fn new(timeout: Duration) -> Self {
        let deadline = Instant::now() + timeout;
        Self {
            timeout,
            deadline,
            sleep: Box::pin(tokio::time::sleep_until(deadline)),
        }
    }

    fn restart(&mut self) {
        self.deadline = Instant::now() + self.timeout;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}
