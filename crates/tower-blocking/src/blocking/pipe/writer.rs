//! The end of a response body on the thread that produces it.

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;

use super::{
    stalls::{ENOUGH, Stalled},
    state::{Disk, Shared, State, wake},
};
use crate::{
    BoxError,
    blocking::hold,
    spool::{self, Spool},
};

/// How long a writer waits for a reader when there is no room left on disk either.
const STALL: Duration = Duration::from_secs(30);

/// How often a writer without disk space looks whether another body has given some back, and whether its thread is
/// wanted.
const RETRY: Duration = Duration::from_millis(100);

/// The end on the thread. Dropped unfinished, it breaks the body off.
pub struct Writer {
    shared: Arc<Shared>,
    /// Set while the reader is waited for, and until the thread has given it up.
    stalled: Option<Stalled>,
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            stalled: None,
        }
    }

    /// Hands a frame over. Blocks while it writes to disk, or waits for room there.
    pub fn send(&mut self, frame: Frame<Bytes>) -> Result<(), SendError> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => self.send_data(data),
            Err(frame) => {
                self.shared.state().trailers = frame.into_trailers().ok();
                Ok(())
            }
        }
    }

    fn send_data(&mut self, mut data: Bytes) -> Result<(), SendError> {
        let mut state = self.shared.state();
        let mut taken = state.taken;
        loop {
            if state.reader_gone {
                return Err(SendError::ClientGone);
            }
            data = match state.keep(data) {
                Ok(()) => {
                    wake(state);
                    break;
                }
                Err(data) => data,
            };
            if state.unread() == 0 && state.written > 0 {
                state = self.clear_disk(state);
            }
            if state.reserve_disk(data.len()) {
                drop(state);
                if hold::waiting(|| self.write(&data)) {
                    break;
                }
                state = self.shared.state();
                continue;
            }
            let now_taken = state.taken;
            drop(state);
            self.stall(now_taken > taken)?;
            taken = now_taken;
            // Not with the lock: the event loop must never wait for what this thread takes again.
            hold::waiting(|| drop(self.wait_for_reader(taken)));
            state = self.shared.state();
        }
        self.stalled = None;
        Ok(())
    }

    /// Before a wait for the reader, who has taken something since the last one or not. An error ends the body.
    fn stall(&mut self, reader_took: bool) -> Result<(), SendError> {
        let now = Instant::now();
        let stalls = &self.shared.stalls;
        let stalled = self.stalled.get_or_insert_with(|| stalls.begin(now));
        if reader_took {
            stalled.reader_took(now);
        }
        if stalled.lasts(now) > STALL {
            Err(SendError::ClientStalled)
        } else if stalled.yields(now) {
            Err(SendError::ThreadWanted)
        } else {
            Ok(())
        }
    }

    /// Waits for the reader to take more than it had, or for its time.
    fn wait_for_reader(&self, taken: u64) -> MutexGuard<'_, State> {
        let mut state = self.shared.state();
        state.awaited = true;
        let wait = self
            .shared
            .progress
            .wait_timeout_while(state, RETRY, |state| {
                state.taken == taken && !state.reader_gone
            });
        let mut state = wait.unwrap_or_else(PoisonError::into_inner).0;
        state.awaited = false;
        state
    }

    /// Gives the disk space back. The reader does not look at the file before `written` grows again.
    fn clear_disk<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        (state.written, state.read) = (0, 0);
        let spool = state.disk.spool().cloned();
        drop(state);
        let cleared = spool.is_none_or(|spool| hold::waiting(|| spool.clear()).is_ok());
        let mut state = self.shared.state();
        if cleared {
            state.reservation.shrink_to(0);
        }
        // Otherwise the space is still taken, and used again from its beginning.
        state
    }

    /// Writes to the end of the file, without the lock: the reader goes on meanwhile. Where that fails, the body
    /// waits in memory from now on.
    fn write(&self, data: &[u8]) -> bool {
        let Shared { directory, .. } = &*self.shared;
        let (position, spool) = {
            let state = self.shared.state();
            (state.written, state.disk.spool().cloned())
        };
        let spool = spool.map_or_else(|| Spool::create_in(directory), Ok);
        let written = spool.and_then(|spool| spool.write_at(data, position).map(|()| spool));
        let mut state = self.shared.state();
        match written {
            Ok(spool) => {
                state.disk = Disk::Used(spool);
                state.written += data.len() as u64;
                wake(state);
                true
            }
            Err(error) => {
                state.fail_disk();
                drop(state);
                spool::report(&error, directory, "responses wait for their readers");
                false
            }
        }
    }

    #[cfg(test)]
    pub(super) fn fail_disk(&self) {
        self.shared.state().fail_disk();
    }

    /// The body is complete.
    pub fn finish(self) {
        self.end(Ok(()));
    }

    /// The body breaks off here.
    pub fn fail(self, error: BoxError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), BoxError>) {
        let mut state = self.shared.state();
        state.end.get_or_insert(end);
        wake(state);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Err("the response body was broken off".into()));
    }
}

/// Why a frame could not be sent.
#[derive(Debug)]
pub enum SendError {
    /// The client has left.
    ClientGone,
    /// The client has read nothing for too long.
    ClientStalled,
    /// The client reads slowly, and other requests need the thread.
    ThreadWanted,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientGone => f.write_str("the client has left"),
            Self::ClientStalled => write!(
                f,
                "the client took nothing for {STALL:?}, and there is no room left to store its response"
            ),
            Self::ThreadWanted => write!(
                f,
                "the client took nothing for {ENOUGH:?}, and a request waits for its thread"
            ),
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
