//! What the two ends of a response body share: its pieces in memory, its file, its end.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::SizeHint;

use super::{reader::Reader, room::Room, stalls::Stalls, writer::Writer};
use crate::{BoxError, budget::Reservation, spool::Spool};

/// So many bytes of one body may always wait in memory for their reader.
pub(super) const OWN_MEMORY: usize = 256 * 1024;

/// And so many where the others have left room for them.
pub(super) const MOST_MEMORY: usize = 1024 * 1024;

/// A pipe for a body of `size`.
pub(in crate::blocking) fn pipe(size: SizeHint, room: &Room) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(room)),
        progress: Condvar::new(),
        stalls: Arc::clone(&room.stalls),
        directory: Arc::clone(&room.directory),
    });
    (Writer::new(&shared), Reader::new(shared, size.exact()))
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// The reader took something, or has left.
    pub(super) progress: Condvar,
    pub(super) stalls: Arc<Stalls>,
    /// Where a file would lie.
    pub(super) directory: Arc<Path>,
}

pub(super) struct State {
    /// Older than what lies on disk: while something does, nothing is added here.
    memory: VecDeque<Bytes>,
    /// The weight of what is in memory.
    buffered: usize,
    /// What of it is more than a body has by itself.
    shared_memory: Reservation,
    pub(super) disk: Disk,
    /// The bytes that the file may have.
    disk_limit: usize,
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) reservation: Reservation,
    /// All that the reader has taken, from memory and from disk.
    pub(super) taken: u64,
    /// A writer waits until the reader has taken more: to tell it costs a system call.
    pub(super) awaited: bool,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) end: Option<Result<(), BoxError>>,
    pub(super) waker: Option<Waker>,
    pub(super) reader_gone: bool,
}

/// The file of one body.
pub(super) enum Disk {
    /// There is none so far.
    Unused,
    Used(Spool),
    /// It cannot be written. What it has is there to be read.
    Failed(Option<Spool>),
}

impl Shared {
    // Nothing panics under the lock, so a poisoned one is still in order.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn new(room: &Room) -> Self {
        Self {
            memory: VecDeque::new(),
            buffered: 0,
            shared_memory: Reservation::new(&room.memory),
            disk: Disk::Unused,
            disk_limit: room.disk_of_each.get(),
            written: 0,
            read: 0,
            reservation: Reservation::new(&room.disk),
            taken: 0,
            awaited: false,
            trailers: None,
            end: None,
            waker: None,
            reader_gone: false,
        }
    }

    pub(super) fn unread(&self) -> u64 {
        self.written - self.read
    }

    /// Keeps a piece in memory, if there is room for it. A large piece has it if it is alone: its maker has it
    /// in memory anyway.
    pub(super) fn keep(&mut self, data: Bytes) -> Result<(), Bytes> {
        let buffered = self.buffered + weight(data.len());
        let fits = self.buffered == 0
            || buffered <= OWN_MEMORY
            || buffered <= MOST_MEMORY && self.shared_memory.grow_to(buffered - OWN_MEMORY);
        if !fits || self.unread() > 0 {
            return Err(data);
        }
        self.buffered = buffered;
        self.memory.push_back(data);
        Ok(())
    }

    /// Takes the next piece out of the memory.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let data = self.memory.pop_front()?;
        self.buffered -= weight(data.len());
        let shared = self.buffered.saturating_sub(OWN_MEMORY);
        self.shared_memory.shrink_to(shared);
        Some(data)
    }

    /// Nobody will take what is in memory.
    pub(super) fn forget(&mut self) {
        self.memory.clear();
        self.shared_memory.shrink_to(0);
    }

    /// Takes so much more of the budget of disk, where one can be written.
    pub(super) fn reserve_disk(&mut self, length: usize) -> bool {
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        let size = written.saturating_add(length);
        !matches!(self.disk, Disk::Failed(_))
            && size <= self.disk_limit
            && self.reservation.grow_to(size)
    }

    /// From now on the body waits in memory.
    pub(super) fn fail_disk(&mut self) {
        let spool = self.disk.spool().cloned();
        self.disk = Disk::Failed(spool);
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        self.reservation.shrink_to(written);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.unread() == 0 && self.trailers.is_none()
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

/// What a piece of this length counts in memory: a tiny one is mostly its own bookkeeping.
fn weight(length: usize) -> usize {
    length.max(64)
}

/// Wakes the reader after the lock is gone, so that it need not wait for it.
pub(super) fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
