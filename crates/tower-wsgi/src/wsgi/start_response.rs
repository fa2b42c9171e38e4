use std::{
    fmt,
    fs::File,
    io::{self, Seek as _},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    file::FileBody,
    head::{Head, StartError},
    left::Fit,
    sending::Shared,
};

/// PEP 3333's `start_response`: says what the status and the headers of the response are.
///
/// They are sent with the first piece of the body that is not empty. Until then an error may
/// [replace](Self::restart) them.
#[derive(Clone)]
pub struct StartResponse {
    shared: Arc<Shared>,
}

impl StartResponse {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Sets the status, as in `200 OK`, and the header fields. What is text in them is Latin-1.
    ///
    /// # Errors
    ///
    /// When they cannot be sent as they are, or it was called before. A call that fails is a call, too:
    /// after it, only an error can [start](Self::restart) the response.
    pub fn start<K, V>(
        &self,
        status: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Write, StartError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.shared.start(Head::parse(status.as_ref(), headers))?;
        Ok(self.write())
    }

    /// Sets the status and the header fields in place of earlier ones, because of an error: PEP 3333's
    /// call with `exc_info`.
    ///
    /// # Errors
    ///
    /// The same error again, when the headers have been sent. The application must pass it on, so that the
    /// response breaks off. When the new ones cannot be sent, the earlier ones are gone all the same.
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
        match self.shared.restart(Head::parse(status.as_ref(), headers)) {
            Ok(true) => Ok(self.write()),
            Ok(false) => Err(error),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Notes a call whose status or headers cannot even be read, for a host of applications in another
    /// language: it counts like one that [`start`](Self::start) refuses.
    pub fn refuse(&self) {
        self.shared.forget();
    }

    /// Whether [`write`](Write::write) may wait for the client: on a pool's thread, not on the event loop. A
    /// host of applications in another language lets others go on meanwhile.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.shared.early.is_some()
    }

    /// Makes the rest of a file, from its position on, the body of the response. The application's
    /// chunks are not asked for then; they are dropped at once.
    ///
    /// The file is read while the client takes it, on threads of the runtime, and holds no thread of a
    /// pool. Without a `Content-Length` the response gets one.
    ///
    /// # Errors
    ///
    /// When it is no regular file, and when something was [written](Write::write) before: then the file has
    /// to be given as chunks, which are sent after that.
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
        self.shared.send_file(FileBody::new(file, position, length))
    }

    fn write(&self) -> Write {
        Write {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartResponse").finish_non_exhaustive()
    }
}

/// PEP 3333's `write`: sends a piece of the body before those that the application returns. For
/// applications that cannot be written as an iterator; all others should be.
pub struct Write {
    shared: Arc<Shared>,
}

impl Write {
    /// Whether it [may wait](StartResponse::waits) for the client.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.shared.early.is_some()
    }

    /// Sends a piece. On a pool's thread it is on its way to the client when this returns; on the event
    /// loop it waits for the application to return, and 8 MiB may wait.
    ///
    /// # Errors
    ///
    /// When the client has left, when the piece goes over the `Content-Length` (what fits is sent), when a
    /// file is the body, and when too much waits.
    pub fn write(&self, piece: impl Into<Bytes>) -> io::Result<()> {
        match self.shared.write(piece.into())? {
            Fit::Whole => Ok(()),
            Fit::Cut => Err(io::Error::other(
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
