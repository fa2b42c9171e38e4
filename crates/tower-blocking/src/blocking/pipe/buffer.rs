//! What the two ends of a response body share: its data in memory, its file, and its end; and the limits for all bodies
//! of one pool.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::SizeHint;

use super::{reader::BodyReader, stalls::StalledWriters, writer::BodyWriter};
use crate::{
    Body, BoxError,
    budget::{Budget, ByteLimit, Reservation},
    spool::{self, Spool},
};

/// The memory in bytes that each body may use while it waits for its reader.
pub(super) const OWN_MEMORY: usize = 256 * 1024;

/// The maximum memory of one body, of which what exceeds its own comes from the budget of all.
pub(super) const MAX_MEMORY: usize = 1024 * 1024;

/// The memory and disk space for the response bodies of one pool, and the threads that wait for their readers.
pub(in crate::blocking) struct PipeBudget {
    /// For all bodies together, besides their own.
    memory: Arc<Budget>,
    disk: Arc<Budget>,
    disk_per_body: ByteLimit,
    /// Where the temporary files are.
    directory: Arc<Path>,
    stalls: Arc<StalledWriters>,
}

impl PipeBudget {
    /// Memory and disk space for all bodies together, and disk space for each.
    pub(in crate::blocking) fn new(memory: usize, disk: usize, disk_per_body: usize) -> Arc<Self> {
        Self::in_directory(&spool::directory(), memory, disk, disk_per_body)
    }

    pub(super) fn in_directory(
        directory: &Path,
        memory: usize,
        disk: usize,
        disk_per_body: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            memory: Budget::new(memory),
            disk: Budget::new(disk),
            disk_per_body: ByteLimit::new(disk_per_body),
            directory: directory.into(),
            stalls: StalledWriters::new(),
        })
    }

    pub(in crate::blocking) fn limit_disk(&self, bytes: usize) {
        self.disk.set_limit(bytes);
    }

    pub(in crate::blocking) fn limit_disk_per_body(&self, bytes: usize) {
        self.disk_per_body.set(bytes);
    }

    /// `queued` returns the number of requests that wait for a thread.
    pub(in crate::blocking) fn set_queued(
        &self,
        queued: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.stalls.set_queued(queued);
    }
}

/// A pipe for a body of `size`.
pub(in crate::blocking) fn pipe(size: SizeHint, budget: &PipeBudget) -> (BodyWriter, BodyReader) {
    let pipe = Arc::new(Pipe {
        state: Mutex::new(PipeState::new(budget)),
        progress: Condvar::new(),
        stalls: Arc::clone(&budget.stalls),
        directory: Arc::clone(&budget.directory),
    });
    (BodyWriter::new(&pipe), BodyReader::new(pipe, size.exact()))
}

pub(super) struct Pipe {
    state: Mutex<PipeState>,
    /// Notified when the reader has taken something or was dropped.
    pub(super) progress: Condvar,
    pub(super) stalls: Arc<StalledWriters>,
    /// Where the temporary file is, if there is one.
    pub(super) directory: Arc<Path>,
}

pub(super) struct PipeState {
    /// Older than the data on disk: while there is some, nothing is added here.
    memory: VecDeque<Bytes>,
    /// The weight of the data in memory.
    buffered: usize,
    /// What of it exceeds the body's own memory.
    shared_memory: Reservation,
    pub(super) disk: Disk,
    /// The maximum size of the file.
    disk_limit: usize,
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) reservation: Reservation,
    /// The number of bytes that the reader has taken, from memory and from disk.
    pub(super) taken: u64,
    /// A writer waits until the reader has taken more. Notifying it costs a system call.
    pub(super) is_writer_waiting: bool,
    pub(super) trailers: Option<HeaderMap>,
    /// The body that continues this one after its end.
    pub(super) rest: Option<Body>,
    pub(super) end: Option<Result<(), BoxError>>,
    pub(super) waker: Option<Waker>,
    pub(super) is_reader_gone: bool,
}

/// The temporary file of one body.
pub(super) enum Disk {
    /// There is none yet.
    Unused,
    Used(Spool),
    /// It cannot be written. What was written can be read.
    Failed(Option<Spool>),
}

impl Pipe {
    // Nothing panics under the lock, so the state behind a poisoned one is consistent.
    pub(super) fn state(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeState {
    pub(super) fn new(budget: &PipeBudget) -> Self {
        Self {
            memory: VecDeque::new(),
            buffered: 0,
            shared_memory: Reservation::new(&budget.memory),
            disk: Disk::Unused,
            disk_limit: budget.disk_per_body.get(),
            written: 0,
            read: 0,
            reservation: Reservation::new(&budget.disk),
            taken: 0,
            is_writer_waiting: false,
            trailers: None,
            rest: None,
            end: None,
            waker: None,
            is_reader_gone: false,
        }
    }

    pub(super) fn unread(&self) -> u64 {
        self.written - self.read
    }

    /// Keeps a piece in memory if there is room for it. A large piece is kept if it is the only one: its producer has it in
    /// memory anyway.
    pub(super) fn keep(&mut self, data: Bytes) -> Result<(), Bytes> {
        let buffered = self.buffered + weight(data.len());
        let fits = self.buffered == 0
            || buffered <= OWN_MEMORY
            || buffered <= MAX_MEMORY && self.shared_memory.grow_to(buffered - OWN_MEMORY);
        if !fits || self.unread() > 0 {
            return Err(data);
        }
        self.buffered = buffered;
        self.memory.push_back(data);
        Ok(())
    }

    /// Takes the next piece out of memory.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let data = self.memory.pop_front()?;
        self.buffered -= weight(data.len());
        let shared = self.buffered.saturating_sub(OWN_MEMORY);
        self.shared_memory.shrink_to(shared);
        Some(data)
    }

    /// Drops the data in memory, as the reader is gone.
    pub(super) fn forget(&mut self) {
        self.memory.clear();
        self.shared_memory.shrink_to(0);
    }

    /// Reserves `length` more bytes on disk, unless writing has failed.
    pub(super) fn reserve_disk(&mut self, length: usize) -> bool {
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        let size = written.saturating_add(length);
        !matches!(self.disk, Disk::Failed(_))
            && size <= self.disk_limit
            && self.reservation.grow_to(size)
    }

    /// From now on the body waits in memory alone.
    pub(super) fn fail_disk(&mut self) {
        let spool = self.disk.spool().cloned();
        self.disk = Disk::Failed(spool);
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        self.reservation.shrink_to(written);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty()
            && self.unread() == 0
            && self.trailers.is_none()
            && self.rest.is_none()
    }
}

impl Disk {
    pub(super) fn spool(&self) -> Option<&Spool> {
        match self {
            Self::Unused => None,
            Self::Used(spool) => Some(spool),
            Self::Failed(spool) => spool.as_ref(),
        }
    }
}

/// What a piece of this length counts in memory: a tiny one consists mostly of its bookkeeping.
fn weight(length: usize) -> usize {
    length.max(64)
}

/// Wakes the reader after the lock is released, so that it does not wait for it.
pub(super) fn wake(mut state: MutexGuard<'_, PipeState>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
