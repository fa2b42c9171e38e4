//! The writing end of a pipe, on the thread that produces the body.

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;

use super::{
    buffer::{Disk, Pipe, PipeState, wake},
    stalls::{MIN_STALL, StallGuard},
};
use crate::{
    Body, BoxError,
    blocking::thread_guard::release_while,
    spool::{self, Spool},
};

/// How long a writer waits for a reader that takes nothing when there is no room left on disk either.
const MAX_STALL: Duration = Duration::from_secs(30);

/// How often a writer without disk space checks whether another body has released some, and whether its thread is needed.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The writing end of a pipe. If it is dropped unfinished, the body ends with an error.
pub struct BodyWriter {
    pipe: Arc<Pipe>,
    /// Set while the thread waits for the reader, and until it has given up.
    stalled: Option<StallGuard>,
}

impl BodyWriter {
    pub(super) fn new(pipe: &Arc<Pipe>) -> Self {
        Self {
            pipe: Arc::clone(pipe),
            stalled: None,
        }
    }

    /// Hands a frame over. Blocks while it writes to disk, or waits for room there.
    ///
    /// # Errors
    ///
    /// If the client has left, or has read nothing for too long.
    pub fn send(&mut self, frame: Frame<Bytes>) -> Result<(), SendError> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => self.send_data(data),
            Err(frame) => {
                self.pipe.state().trailers = frame.into_trailers().ok();
                Ok(())
            }
        }
    }

    fn send_data(&mut self, mut data: Bytes) -> Result<(), SendError> {
        let mut state = self.pipe.state();
        let mut taken = state.taken;
        loop {
            if state.is_reader_gone {
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
                if release_while(|| self.write(&data)) {
                    break;
                }
                state = self.pipe.state();
                continue;
            }
            let now_taken = state.taken;
            drop(state);
            self.stall(now_taken > taken)?;
            taken = now_taken;
            // Without the lock: the event loop must never wait for the guard that this thread enters again.
            release_while(|| drop(self.wait_for_reader(taken)));
            state = self.pipe.state();
        }
        self.stalled = None;
        Ok(())
    }

    /// Records a wait for the reader. An error ends the body.
    fn stall(&mut self, reader_took: bool) -> Result<(), SendError> {
        let now = Instant::now();
        let stalls = &self.pipe.stalls;
        let stalled = self.stalled.get_or_insert_with(|| stalls.start(now));
        if reader_took {
            stalled.reader_took(now);
        }
        if stalled.lasts(now) > MAX_STALL {
            Err(SendError::ClientStalled)
        } else if stalled.yields(now) {
            Err(SendError::ThreadWanted)
        } else {
            Ok(())
        }
    }

    /// Waits until the reader has taken more than `taken`, or for [`CHECK_INTERVAL`].
    fn wait_for_reader(&self, taken: u64) -> MutexGuard<'_, PipeState> {
        let mut state = self.pipe.state();
        state.is_writer_waiting = true;
        let wait = self
            .pipe
            .progress
            .wait_timeout_while(state, CHECK_INTERVAL, |state| {
                state.taken == taken && !state.is_reader_gone
            });
        let mut state = wait.unwrap_or_else(PoisonError::into_inner).0;
        state.is_writer_waiting = false;
        state
    }

    /// Releases the disk space. The reader does not read the file before `written` grows again.
    fn clear_disk<'a>(&'a self, mut state: MutexGuard<'a, PipeState>) -> MutexGuard<'a, PipeState> {
        (state.written, state.read) = (0, 0);
        let spool = state.disk.spool().cloned();
        drop(state);
        let cleared = spool.is_none_or(|spool| release_while(|| spool.clear()).is_ok());
        let mut state = self.pipe.state();
        if cleared {
            state.reservation.shrink_to(0);
        }
        // Otherwise the space is still used, and is written again from its beginning.
        state
    }

    /// Writes to the end of the file, without the lock, so that the reader can continue. If that fails, the body waits in
    /// memory from now on.
    fn write(&self, data: &[u8]) -> bool {
        let Pipe { directory, .. } = &*self.pipe;
        let (position, spool) = {
            let state = self.pipe.state();
            (state.written, state.disk.spool().cloned())
        };
        let spool = spool.map_or_else(|| Spool::create_in(directory), Ok);
        let written = spool.and_then(|spool| spool.write_at(data, position).map(|()| spool));
        let mut state = self.pipe.state();
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
        self.pipe.state().fail_disk();
    }

    /// The body is complete.
    pub fn finish(self) {
        self.end(Ok(()));
    }

    /// The body continues with `rest`, which the event loop reads. No thread waits for it.
    pub fn continue_with(self, rest: Body) {
        let mut state = self.pipe.state();
        if state.is_reader_gone {
            drop(state);
            // Dropped without the lock: it is code of the application.
            return drop(rest);
        }
        state.rest = Some(rest);
        state.end.get_or_insert(Ok(()));
        wake(state);
    }

    /// The body ends with an error.
    pub fn fail(self, error: BoxError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), BoxError>) {
        let mut state = self.pipe.state();
        state.end.get_or_insert(end);
        wake(state);
    }
}

impl Drop for BodyWriter {
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
                "the client read nothing for {MAX_STALL:?}, and there is no space left to store its response"
            ),
            Self::ThreadWanted => write!(
                f,
                "the client read nothing for {MIN_STALL:?}, and a queued request needs its thread"
            ),
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").finish_non_exhaustive()
    }
}
