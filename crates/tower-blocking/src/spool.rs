//! An unnamed temporary file for data that does not fit in memory. It is written and read by position.

use std::{
    env,
    error::Error,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;

use crate::throttle::Throttle;

/// The maximum number of bytes that one read takes into memory.
const CHUNK: u64 = 64 * 1024;

/// A temporary file without a name, which the system removes with its last handle, even after a crash. It is in the
/// directory `TMPDIR`, by default `/tmp`.
#[derive(Clone, Debug)]
pub struct Spool(Arc<File>);

/// A read on a thread of the runtime.
pub type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + Sync>>;

impl Spool {
    /// Creates one in the directory for temporary files. Blocks.
    #[cfg(feature = "wait-for-body")]
    pub(crate) fn create() -> io::Result<Self> {
        Self::create_in(&directory())
    }

    /// Creates one in `directory`. Blocks.
    pub(crate) fn create_in(directory: &Path) -> io::Result<Self> {
        tempfile::tempfile_in(directory).map(|file| Self(Arc::new(file)))
    }

    /// Another file, to be read.
    #[cfg(feature = "blocking")]
    #[must_use]
    pub fn of(file: File) -> Self {
        Self(Arc::new(file))
    }

    #[cfg(feature = "wait-for-body")]
    pub(crate) fn into_file(self) -> io::Result<File> {
        Arc::try_unwrap(self.0).or_else(|shared| shared.try_clone())
    }

    /// Writes all of `bytes`. Blocks.
    pub(crate) fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    /// Reads at most as many bytes as `buf` has. Blocks.
    #[cfg(feature = "wait-for-body")]
    pub(crate) fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buf, position)
    }

    /// Releases the disk space. Blocks.
    #[cfg(feature = "blocking")]
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.0.set_len(0)
    }

    /// Reads some of the `available` bytes at `position`, without blocking the caller.
    #[must_use]
    pub fn read(&self, position: u64, available: u64) -> Reading {
        let file = Arc::clone(&self.0);
        Box::pin(on_thread(move || {
            let size = usize::try_from(available.min(CHUNK)).unwrap_or(0);
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, position)?;
            Ok(bytes.into())
        }))
    }
}

/// Runs `work`, which blocks, on a thread of the runtime. It is an error as well if the system refuses the runtime its
/// first thread: tokio panics then.
pub(crate) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let spawned = catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(work))).ok();
    let Some(done) = spawned else {
        return Err(io::Error::other("the system refuses another thread"));
    };
    done.await.map_err(io::Error::other)?
}

/// The directory for temporary files: `TMPDIR`, by default `/tmp`.
pub(crate) fn directory() -> PathBuf {
    env::temp_dir()
}

/// Logs at most once a minute that a temporary file could not be written, and the consequence.
pub(crate) fn report(error: &io::Error, directory: &Path, consequence: &'static str) {
    static FAILED: Throttle = Throttle::new();
    if let Some(times) = FAILED.pass(Instant::now()) {
        tracing::warn!(
            error = error as &dyn Error,
            directory = %directory.display(),
            times,
            "cannot write a temporary file, so {consequence}; free space there or set TMPDIR"
        );
    }
}

/// Logs a warning if no temporary file can be written in the directory `TMPDIR`, which request bodies and responses that do
/// not fit in memory need. For the start of a server.
///
/// `WsgiHandler` of `tower-wsgi` calls it when it is built. Blocks while it writes some bytes.
#[cfg(feature = "wait-for-body")]
pub fn probe_temporary_directory() {
    let directory = directory();
    let spool = Spool::create_in(&directory);
    if let Err(error) = spool.and_then(|spool| spool.write_at(&[0; 4096], 0)) {
        tracing::warn!(
            error = &error as &dyn Error,
            directory = %directory.display(),
            "no temporary file can be written, so request bodies that do not fit in memory get 503, and responses wait for \
             their readers; free space there or set TMPDIR"
        );
    }
}
