//! The body of a request, as a service reads it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::shared_body::{BodyEvent, BodyGuard, SharedBody};
use crate::BoxError;

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
/// * [`TimedOut`](std::io::ErrorKind::TimedOut): the client sent nothing for the body time-out;
/// * [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof): the client closed the connection;
/// * [`InvalidData`](std::io::ErrorKind::InvalidData): the chunked coding is malformed (RFC 9112 section 7.1).
///
/// A service that then fails with any error makes the server respond with 408 in the first case and with 400 in the
/// others. The connection closes after the response in every case.
///
/// # Trailers
///
/// Trailer fields arrive as the last frame, without those that RFC 9110 section 6.5.1 forbids there.
/// The connection closes after the response to a request that had any.
pub struct RequestBody {
    /// Until the end was seen.
    guard: Option<BodyGuard>,
    timer: Option<Box<BodyTimer>>,
}

impl RequestBody {
    pub(super) fn new(body: Option<Arc<SharedBody>>) -> Self {
        Self {
            guard: body.map(BodyGuard::new),
            timer: None,
        }
    }

    fn end(&mut self) {
        self.timer = None;
        self.guard = None;
    }

    /// The client has sent nothing. Its time is over, if so.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<BoxError> {
        let Some(guard) = &self.guard else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| {
            // The body may be read on a thread that knows of no runtime.
            let _context = guard.runtime().enter();
            Box::new(BodyTimer::new(guard.timeout()))
        });
        ready!(timer.poll_expired(cx));
        self.timer = None;
        let error = self.guard.take().map(BodyGuard::time_out);
        error.map_or(Poll::Pending, |error| Poll::Ready(error.into()))
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
        let Some(guard) = &mut this.guard else {
            return Poll::Ready(None);
        };
        let Poll::Ready(event) = guard.poll_event(cx) else {
            return this.poll_timeout(cx).map(|error| Some(Err(error)));
        };
        Poll::Ready(match event {
            BodyEvent::Data { bytes, is_last } => {
                if is_last {
                    this.end();
                } else if let Some(timer) = &mut this.timer {
                    timer.restart();
                }
                Some(Ok(Frame::data(bytes)))
            }
            BodyEvent::Trailers(mut trailers) => {
                this.end();
                remove_forbidden(&mut trailers);
                (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))
            }
            BodyEvent::End => {
                this.end();
                None
            }
            BodyEvent::Failed(error) => {
                this.end();
                Some(Err(error.into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.guard.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.guard.as_ref().map(BodyGuard::rest) {
            None => SizeHint::with_exact(0),
            Some(rest) => rest.map_or_else(SizeHint::default, SizeHint::with_exact),
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

/// Expires when nothing restarted it for its time.
struct BodyTimer {
    timeout: Duration,
    deadline: Instant,
    // It fires late rather than being moved with every frame.
    sleep: Pin<Box<Sleep>>,
}

impl BodyTimer {
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
