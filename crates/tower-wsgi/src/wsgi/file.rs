//! A file as the body of a response.

use std::{
    fmt,
    fs::File,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use tower_blocking::internal::{Reading, Spool};

/// A part of a file, read as the client receives it.
pub(super) struct FileBody {
    file: Spool,
    position: u64,
    left: u64,
    reading: Option<Reading>,
}

impl FileBody {
    pub(super) fn new(file: File, position: u64, length: u64) -> Self {
        Self {
            file: Spool::of(file),
            position,
            left: length,
            reading: None,
        }
    }

    /// The number of bytes that have yet to be sent.
    pub(super) fn len(&self) -> u64 {
        self.left
    }

    /// Limits it to `length` bytes. An error says that the file is shorter.
    pub(super) fn limit(&mut self, length: u64) -> Result<(), String> {
        if length > self.left {
            return Err(format!(
                "the file has {} bytes less than the Content-Length says",
                length - self.left
            ));
        }
        self.left = length;
        Ok(())
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self {
            file,
            position,
            left,
            reading,
        } = self.get_mut();
        if *left == 0 {
            return Poll::Ready(None);
        }
        let read = reading.get_or_insert_with(|| file.read(*position, *left));
        let result = ready!(read.as_mut().poll(cx));
        *reading = None;
        let bytes = result?;
        *position += bytes.len() as u64;
        *left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
