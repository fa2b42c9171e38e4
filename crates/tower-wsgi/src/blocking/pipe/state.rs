use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::SizeHint;

use super::{reader::Reader, writer::Writer};
use crate::{
    BoxError,
    budget::{Budget, Reservation},
    spool::Spool,
};

/// The bytes of one body that wait in memory for their reader.
pub(super) const MEMORY: usize = 256 * 1024;

/// A pipe for a body of `size`, with as much disk as the budget has left.
pub(in crate::blocking) fn pipe(size: SizeHint, spooled: &Arc<Budget>) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            memory: VecDeque::new(),
            buffered: 0,
            spool: None,
            written: 0,
            read: 0,
            reservation: Reservation::new(spooled),
            taken: 0,
            trailers: None,
            end: None,
            waker: None,
            reader_gone: false,
        }),
        progress: Condvar::new(),
    });
    (Writer::new(&shared), Reader::new(shared, size.exact()))
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// The reader took something, or has left.
    pub(super) progress: Condvar,
}

pub(super) struct State {
    /// Older than what lies on disk: while something does, nothing is added here.
    pub(super) memory: VecDeque<Bytes>,
    pub(super) buffered: usize,
    pub(super) spool: Option<Spool>,
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) reservation: Reservation,
    /// All that the reader has taken, from memory and from disk.
    pub(super) taken: u64,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) end: Option<Result<(), BoxError>>,
    pub(super) waker: Option<Waker>,
    pub(super) reader_gone: bool,
}

impl Shared {
    // Nothing panics under the lock, so a poisoned one is still in order.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn unread(&self) -> u64 {
        self.written - self.read
    }

    /// Whether so many bytes may wait in memory. A large piece may if it is alone: its maker has it
    /// in memory anyway.
    pub(super) fn has_memory(&self, length: usize) -> bool {
        let fits = self.buffered == 0 || self.buffered + weight(length) <= MEMORY;
        fits && self.unread() == 0
    }

    /// Takes so much more of the budget.
    pub(super) fn reserve_disk(&mut self, length: usize) -> bool {
        let total = usize::try_from(self.written).unwrap_or(usize::MAX);
        self.reservation.grow_to(total.saturating_add(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.unread() == 0 && self.trailers.is_none()
    }
}

/// What a piece of this length counts in memory: a tiny one is mostly its own bookkeeping.
pub(super) fn weight(length: usize) -> usize {
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
