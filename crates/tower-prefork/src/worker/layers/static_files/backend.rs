//! Files as `ServeDir` reads them: [`Confined`].
//!
//! What the kernel has in memory is read at once, on the event loop, which is as fast as a system call is. The rest is
//! read on one of the runtime's threads, so that the event loop never waits for a disk.

use std::{
    fs::{File, Metadata},
    future::{Future, Ready, ready},
    io::{self, IoSliceMut, SeekFrom},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::{BoxFuture, Either};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::{
    io::{AsyncRead, AsyncSeek, ReadBuf},
    task::{JoinHandle, spawn_blocking},
};
use tower_http::services::fs::{Backend, File as BackendFile};

use super::root::{Lookup, Root};

/// The files inside of a directory.
#[derive(Clone, Debug)]
pub(super) struct Confined(Arc<Root>);

impl Confined {
    pub(super) fn new(root: Root) -> Self {
        Self(Arc::new(root))
    }

    /// Asks the kernel's memory, then a thread.
    fn now_or_on_a_thread<T: Send + 'static>(
        &self,
        path: PathBuf,
        ask: fn(&Root, &PathBuf, Lookup) -> io::Result<T>,
    ) -> LookupFuture<T> {
        match ask(&self.0, &path, Lookup::Cached) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Either::Left(ready(result)),
        }
        let root = self.0.clone();
        let job = spawn_blocking(move || ask(&root, &path, Lookup::Complete));
        Either::Right(Box::pin(async { job.await? }))
    }
}

type LookupFuture<T> = Either<Ready<io::Result<T>>, BoxFuture<'static, io::Result<T>>>;

impl Backend for Confined {
    type File = StaticFile;
    type Metadata = Metadata;
    type OpenFuture = LookupFuture<StaticFile>;
    type MetadataFuture = LookupFuture<Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        self.now_or_on_a_thread(path, |root, path, lookup| {
            let file = root.open(path, lookup)?;
            let metadata = file.metadata()?;
            // A directory, a pipe and a device are no files.
            if !metadata.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(StaticFile::new(file, metadata))
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        self.now_or_on_a_thread(path, |root, path, lookup| {
            let metadata = root.look_up(path, lookup)?.metadata()?;
            let is_known = metadata.is_file() || metadata.is_dir();
            let metadata = is_known.then_some(metadata);
            metadata.ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct StaticFile {
    file: Arc<File>,
    metadata: Metadata,
    position: u64,
    /// The read on a thread, if one runs.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl StaticFile {
    fn new(file: File, metadata: Metadata) -> Self {
        Self {
            file: Arc::new(file),
            metadata,
            position: 0,
            reading: None,
        }
    }

    /// Reads what the kernel has in memory. `None` if that is nothing.
    fn read_cached(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let buffers = &mut [IoSliceMut::new(buffer)];
            return match preadv2(&*self.file, buffers, self.position, ReadWriteFlags::NOWAIT) {
                Ok(count) => Ok(Some(count)),
                Err(Errno::INTR) => continue,
                // Not in memory, or a file system that cannot say so.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    fn read_on_a_thread(&self, size: usize) -> JoinHandle<io::Result<Vec<u8>>> {
        let (file, position) = (self.file.clone(), self.position);
        spawn_blocking(move || {
            let mut bytes = vec![0; size];
            let count = file.read_at(&mut bytes, position)?;
            bytes.truncate(count);
            Ok(bytes)
        })
    }
}

impl BackendFile for StaticFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.metadata.clone()))
    }
}

impl AsyncRead for StaticFile {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // What was added to the file since belongs to no response.
        let rest = this.metadata.len().saturating_sub(this.position);
        let size = buffer
            .remaining()
            .min(rest.try_into().unwrap_or(usize::MAX));
        if size == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.reading.is_none() {
            if let Some(count) = this.read_cached(buffer.initialize_unfilled_to(size))? {
                buffer.advance(count);
                this.position += count as u64;
                return Poll::Ready(Ok(()));
            }
            this.reading = Some(this.read_on_a_thread(size));
        }
        let reading = this.reading.as_mut().expect("it was set above");
        let bytes = ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        let bytes = bytes??;
        let taken = &bytes[..bytes.len().min(size)];
        buffer.put_slice(taken);
        this.position += taken.len() as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for StaticFile {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let (from, by) = match position {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.metadata.len(), by),
        };
        let position = from.checked_add_signed(by);
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        self.reading = None;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}
