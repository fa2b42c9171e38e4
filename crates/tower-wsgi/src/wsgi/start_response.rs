//! What an application is called with to respond: `start_response` and `write`.

use std::{
    fmt,
    fs::File,
    future::poll_fn,
    io::{self, Seek as _},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

use super::{
    Deferred,
    file::FileBody,
    head::{Head, StartError, Truncated},
    shared_response::SharedResponse,
};
use crate::BoxError;

/// PEP 3333's `start_response`: sets the status and the header fields of the response.
///
/// They are sent with the first piece of the body that is not empty. Until then they can be
/// [replaced](Self::restart) because of an error.
#[derive(Clone)]
pub struct StartResponse {
    response: Arc<SharedResponse>,
}

impl StartResponse {
    pub(super) fn new(response: &Arc<SharedResponse>) -> Self {
        Self {
            response: Arc::clone(response),
        }
    }

    /// Sets the status, such as `200 OK`, and the header fields. Their text is Latin-1.
    ///
    /// # Errors
    ///
    /// When a field or the status is not valid, or when this was called before. A call that fails counts as well: after
    /// it, only [`restart`](Self::restart) can start the response.
    pub fn start<K, V>(
        &self,
        status: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Write, StartError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let switches = self.response.may_switch();
        let head = Head::parse(status.as_ref(), headers, switches);
        self.response.start(head)?;
        Ok(self.write())
    }

    /// Sets the status and the header fields in place of earlier ones, because of an error: PEP 3333's
    /// call with `exc_info`.
    ///
    /// # Errors
    ///
    /// The same error, when the head has been sent. The application must return it, so that the response breaks off.
    /// When the new status or a new field is not valid, the earlier ones are removed all the same.
    pub fn restart<K, V, E>(
        &self,
        status: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (K, V)>,
        error: E,
    ) -> Result<Write, E>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
        E: From<StartError>,
    {
        let switches = self.response.may_switch();
        let head = Head::parse(status.as_ref(), headers, switches);
        match self.response.restart(head) {
            Ok(true) => Ok(self.write()),
            Ok(false) => Err(error),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Notes a call whose status or header fields cannot be read at all, for a host of applications in another
    /// language. It counts as one that [`start`](Self::start) has refused.
    pub fn refuse(&self) {
        self.response.refuse();
    }

    /// Whether [`write`](Write::write) may wait for the client: it does on a thread of a pool, not on the event loop and
    /// not in a [deferred](Self::defer) response. A host of applications in another language releases its interpreter for
    /// such a call.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.response.waits()
    }

    /// Defers the response: its pieces are those of `stream`, which the event loop polls when there is room for one. The
    /// application returns what this returns, and its thread is free.
    ///
    /// From this call on, [`write`](Write::write) never waits. So a host that hands the request to another thread calls this
    /// first. What was written before, on a thread of a pool, is sent before the pieces.
    pub fn defer<S>(&self, stream: S) -> Deferred
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
    {
        Deferred::new(Box::pin(stream), self.response.defer())
    }

    /// Allows the status `101 Switching Protocols` with its fields `Connection` and `Upgrade`. For the host of an
    /// application that has taken hyper's `OnUpgrade` out of the request's extensions. Without it, such a response would be
    /// one that no server can send.
    pub fn allow_switching_protocols(&self) {
        self.response.allow_switch();
    }

    /// Makes a file, from its current position to its end, the body of the response. The application's chunks are
    /// dropped without a call of `next`.
    ///
    /// The file is read as the client receives it, on the runtime's threads for blocking calls; no thread of a
    /// `BlockingPool` is held. A response without a `Content-Length` gets one.
    ///
    /// # Errors
    ///
    /// When it is not a regular file, and when something was [written](Write::write) before. In that case return the
    /// content of the file as chunks.
    pub fn send_file(&self, mut file: File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only a regular file can be sent as the body of a response",
            ));
        }
        let position = file.stream_position()?;
        let length = metadata.len().saturating_sub(position);
        self.response
            .send_file(FileBody::new(file, position, length))
    }

    /// Whether the status and the header fields are final: a piece of the body has been sent, or is on its way. Then
    /// they can no longer be [replaced](Self::restart). Where the response is [deferred](Self::defer), this does not see
    /// the pieces of the stream.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.response.is_sent()
    }

    /// What [`start`](Self::start) returns. For a host of applications that ask for it later; before `start`, it refuses
    /// each piece.
    #[must_use]
    pub fn write(&self) -> Write {
        Write {
            response: Arc::clone(&self.response),
        }
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartResponse").finish_non_exhaustive()
    }
}

/// PEP 3333's `write`: sends a piece of the body before those that the application returns. It is for applications
/// that cannot return an iterator.
pub struct Write {
    response: Arc<SharedResponse>,
}

impl Write {
    /// Whether [`write`](Self::write) [may wait](StartResponse::waits) for the client.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.response.waits()
    }

    /// Sends a piece. On a thread of a pool it has been passed to the server when this returns. On the event loop it is
    /// buffered until the application returns, up to 8 MiB. In a deferred response it is buffered until the client reads it,
    /// also up to 8 MiB; to use no more than 64 KiB, wait for [`room`](Self::room) after each call.
    ///
    /// # Errors
    ///
    /// When the client has left; when the piece exceeds the `Content-Length` (it is truncated and sent); when a file is
    /// the body; when the buffer is full; and when the last call of `start_response` has failed.
    pub fn write(&self, piece: impl Into<Bytes>) -> io::Result<()> {
        match self.response.write(piece.into())? {
            None => Ok(()),
            Some(Truncated) => Err(io::Error::other(
                "more was written than the Content-Length says; the rest is not sent",
            )),
        }
    }
}

impl Write {
    /// Waits until a deferred response has less than 64 KiB of written pieces that the client has not read, or has ended.
    /// Always ready in a response that is not deferred.
    pub async fn room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    /// As [`room`](Self::room), for a host with a waker of its own. Only the waker of the last call is woken.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.response.poll_room(cx)
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}
