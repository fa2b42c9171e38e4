//! The body of a request, to read: one that has arrived, or one that arrives while it is read.

use std::{
    any::Any,
    fmt,
    io::{self, Read},
    pin::pin,
};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio::runtime::Handle;
use tower_blocking::internal::{block_on, is_pool_thread};

use crate::{BoxError, BufferedBody};

/// `wsgi.input`: the body of a request, to read.
///
/// Under a [`WaitForBodyLayer`](crate::wait_for_body::WaitForBodyLayer) it has arrived, and reads do not wait for the
/// client. Without that layer, each read receives from the client; the first one sends the `100 Continue` that the client
/// may be waiting for.
///
/// # Errors
///
/// If the body does not arrive completely, the read that finds this returns an error, and so does each later one; an
/// incomplete body does not end like a complete one. On a thread of the event loop, a body that has yet to arrive cannot
/// be read.
#[derive(Debug)]
pub struct Input(Source);

#[derive(Debug)]
enum Source {
    Buffered(BufferedBody),
    Arriving(Arriving),
}

impl Input {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(arrived) = (&mut body as &mut dyn Any).downcast_mut::<Option<BufferedBody>>() {
            return arrived.take().unwrap_or_default().into();
        }
        Self(body.map_or_else(
            || Source::Buffered(BufferedBody::default()),
            Arriving::source,
        ))
    }

    /// The length of the body in bytes; `None` where it has yet to arrive.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Source::Buffered(body) => Some(body.len()),
            Source::Arriving(_) => None,
        }
    }

    /// The body; `None` where it has yet to arrive.
    #[must_use]
    pub fn into_buffered(self) -> Option<BufferedBody> {
        match self.0 {
            Source::Buffered(body) => Some(body),
            Source::Arriving(_) => None,
        }
    }
}

impl From<BufferedBody> for Input {
    fn from(body: BufferedBody) -> Self {
        Self(Source::Buffered(body))
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Buffered(body) => body.read(buf),
            Source::Arriving(body) => body.read(buf),
        }
    }
}

struct Arriving {
    /// `None` after its end.
    body: Option<UnsyncBoxBody<Bytes, BoxError>>,
    received: Bytes,
    broken: Option<(io::ErrorKind, String)>,
    /// Entered for reads: the body may use its timer.
    runtime: Option<Handle>,
}

impl Arriving {
    fn source<B>(body: B) -> Source
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let to_bytes =
            |frame: Frame<B::Data>| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        let body = body.map_frame(to_bytes).map_err(Into::into);
        Source::Arriving(Self {
            body: Some(body.boxed_unsync()),
            received: Bytes::new(),
            broken: None,
            runtime: Handle::try_current().ok(),
        })
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.received.is_empty() && !buf.is_empty() {
            if let Some((kind, text)) = &self.broken {
                return Err(io::Error::new(*kind, text.clone()));
            }
            match self.next()? {
                Some(bytes) => self.received = bytes,
                None => return Ok(0),
            }
        }
        let count = buf.len().min(self.received.len());
        self.received.copy_to_slice(&mut buf[..count]);
        Ok(count)
    }

    /// Waits for the next piece; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        if may_not_wait() {
            return Err(io::Error::other(
                "the body of the request has yet to arrive, and the event loop cannot wait for it; \
                 add a WaitForBodyLayer, or run the application on a BlockingPool",
            ));
        }
        let _context = self.runtime.as_ref().map(Handle::enter);
        match block_on(pin!(body.frame())) {
            None => {
                self.body = None;
                Ok(None)
            }
            // Trailers are not a part of the body.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => {
                let kind = error
                    .downcast_ref::<io::Error>()
                    .map_or(io::ErrorKind::Other, io::Error::kind);
                let text = error.to_string();
                self.body = None;
                self.broken = Some((kind, text));
                Err(io::Error::new(kind, error))
            }
        }
    }
}

/// Whether this is a thread of an event loop, and none of a pool or of the application's own.
fn may_not_wait() -> bool {
    !is_pool_thread() && Handle::try_current().is_ok()
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving")
            .field("received", &self.received.len())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
