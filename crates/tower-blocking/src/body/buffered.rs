//! A request body that has fully arrived.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::{
    budget::Reservation,
    spool::{Reading, Spool},
};

/// A request body that has fully arrived.
///
/// Blocking code reads it as a file ([`io::Read`] and [`io::Seek`]). Asynchronous code, for example an axum `Router`, reads
/// it as an [`http_body::Body`]. Both continue from the same position. A small body is in memory, a large one in an unnamed
/// temporary file that the system removes with the last handle, even after a crash.
///
/// Reading a body from disk blocks. As an `http_body::Body` it is read on a thread of the runtime instead, so that it does
/// not block the event loop.
///
/// ```
/// use std::io::Read;
/// use tower_blocking::BufferedBody;
///
/// let mut body = BufferedBody::from("name=Ada");
/// assert_eq!(body.len(), 8);
///
/// let mut text = String::new();
/// body.read_to_string(&mut text)?;
/// assert_eq!(text, "name=Ada");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct BufferedBody {
    content: Content,
    len: u64,
    position: u64,
    // Boxed, since requests are moved and trailers are rare.
    trailers: Option<Box<HeaderMap>>,
    trailers_sent: bool,
    /// The share in the memory budget, or in the disk budget.
    reservation: Option<Reservation>,
}

/// Where the remaining bytes of a [`BufferedBody`] are.
#[derive(Debug)]
pub enum Stored {
    /// In memory.
    Memory(Bytes),
    /// In an unnamed temporary file, from its position on. The second value is the file's share in the disk budget: drop it
    /// with the file.
    Disk(File, DiskSpace),
}

/// The share of a temporary file in the disk budget of all bodies, which is released when it is dropped.
#[derive(Debug)]
pub struct DiskSpace {
    _reservation: Option<Reservation>,
}

enum Content {
    Memory(Bytes),
    Disk {
        spool: Spool,
        reading: Option<Reading>,
    },
}

impl BufferedBody {
    /// The length of the whole body in bytes, regardless of the position.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the body has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the body did not fit in memory and is in a temporary file.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.content, Content::Disk { .. })
    }

    /// The trailer fields that followed the body (RFC 9110 section 6.5), if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The whole body in one piece. A body on disk is read from its file, which blocks.
    ///
    /// # Errors
    ///
    /// When the temporary file cannot be read.
    pub fn into_bytes(mut self) -> io::Result<Bytes> {
        if let Content::Memory(bytes) = self.content {
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.rewind()?;
        self.read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// The remaining bytes as they are stored, for code that reads a file by itself, such as an interpreter of another
    /// language.
    ///
    /// # Errors
    ///
    /// When the temporary file cannot be positioned.
    pub fn into_stored(self) -> io::Result<Stored> {
        let start = usize::try_from(self.position.min(self.len)).unwrap_or(usize::MAX);
        match self.content {
            Content::Memory(bytes) => Ok(Stored::Memory(bytes.slice(start..))),
            Content::Disk { spool, .. } => {
                let mut file = spool.into_file()?;
                file.seek(SeekFrom::Start(self.position))?;
                let space = DiskSpace {
                    _reservation: self.reservation,
                };
                Ok(Stored::Disk(file, space))
            }
        }
    }

    pub(crate) fn in_memory(
        bytes: Bytes,
        trailers: Option<HeaderMap>,
        memory: Reservation,
    ) -> Self {
        Self {
            len: bytes.len() as u64,
            content: Content::Memory(bytes),
            trailers: trailers.map(Box::new),
            reservation: Some(memory),
            ..Self::default()
        }
    }

    pub(crate) fn on_disk(
        spool: Spool,
        len: u64,
        trailers: Option<HeaderMap>,
        space: Option<Reservation>,
    ) -> Self {
        Self {
            content: Content::Disk {
                spool,
                reading: None,
            },
            len,
            trailers: trailers.map(Box::new),
            reservation: space,
            ..Self::default()
        }
    }

    fn remaining(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl<T: Into<Bytes>> From<T> for BufferedBody {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self {
            len: bytes.len() as u64,
            content: Content::Memory(bytes),
            ..Self::default()
        }
    }
}

impl Read for BufferedBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.content {
            Content::Memory(bytes) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                let count = rest.len().min(buf.len());
                buf[..count].copy_from_slice(&rest[..count]);
                count
            }
            Content::Disk { spool, .. } => spool.read_at(buf, self.position)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for BufferedBody {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot seek to a position before the start of the body",
            )
        })?;
        if let Content::Disk { reading, .. } = &mut self.content {
            *reading = None;
        }
        Ok(self.position)
    }
}

impl http_body::Body for BufferedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let remaining = this.remaining();
        if remaining == 0 {
            if this.trailers_sent {
                return Poll::Ready(None);
            }
            this.trailers_sent = true;
            return Poll::Ready(this.trailers.clone().map(|it| Ok(Frame::trailers(*it))));
        }
        let bytes = match &mut this.content {
            Content::Memory(bytes) => {
                bytes.slice(usize::try_from(this.position).unwrap_or(usize::MAX)..)
            }
            Content::Disk { spool, reading } => {
                let future = reading.get_or_insert_with(|| spool.read(this.position, remaining));
                let result = ready!(future.as_mut().poll(cx));
                *reading = None;
                result?
            }
        };
        this.position += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0 && (self.trailers_sent || self.trailers.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

impl fmt::Debug for BufferedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody")
            .field("len", &self.len)
            .field("position", &self.position)
            .field("on_disk", &self.is_on_disk())
            .finish_non_exhaustive()
    }
}
