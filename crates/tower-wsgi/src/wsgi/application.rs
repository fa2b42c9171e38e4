//! The application, and what it is called with to respond: `start_response` and `write`.

use std::{
    fmt,
    fs::File,
    io::{self, Seek as _},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Environ,
    file::FileBody,
    head::{Head, StartError, Truncated},
    shared_response::SharedResponse,
};
use crate::BoxError;

/// An application as PEP 3333 defines it: it is called with the environ and `start_response`, and returns the body.
///
/// It is called from several threads at once when its service runs on a pool of them. It may block there; on the event
/// loop it must not.
///
/// Functions and closures `Fn(Environ, StartResponse) -> Result<I, E>` implement it, where `I` can be iterated over
/// with the item `Result<Bytes, BoxError>`.
///
/// # Errors
///
/// The client gets a 500 for an error before the first byte of the body. A later error breaks the connection, so that
/// the client does not take a part of the response for the whole. Both are logged.
pub trait Application: Send + Sync + 'static {
    /// The body, in pieces. Empty pieces are skipped. To drop the iterator is PEP 3333's `close()`: it happens once, on
    /// every path, where the application was called.
    type Chunks: Iterator<Item = Result<Bytes, BoxError>>;

    /// Responds to one request. `start_response` has to be called before the first piece that is not empty, or before
    /// the end.
    ///
    /// # Errors
    ///
    /// Any error that the application does not handle itself.
    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Self::Chunks, BoxError>;
}

impl<F, I, E> Application for F
where
    F: Fn(Environ, StartResponse) -> Result<I, E> + Send + Sync + 'static,
    I: IntoIterator<Item = Result<Bytes, BoxError>>,
    E: Into<BoxError>,
{
    type Chunks = I::IntoIter;

    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Self::Chunks, BoxError> {
        self(environ, start_response)
            .map(IntoIterator::into_iter)
            .map_err(Into::into)
    }
}

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
        self.response.start(Head::parse(status.as_ref(), headers))?;
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
        match self.response.restart(Head::parse(status.as_ref(), headers)) {
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

    /// Whether [`write`](Write::write) may wait for the client: it does on a thread of a pool, not on the event loop. A
    /// host of applications in another language releases its interpreter for such a call.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.response.early.is_some()
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

    fn write(&self) -> Write {
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
        self.response.early.is_some()
    }

    /// Sends a piece. On a thread of a pool it has been passed to the server when this returns. On the event loop it is
    /// buffered until the application returns, up to 8 MiB.
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

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}
