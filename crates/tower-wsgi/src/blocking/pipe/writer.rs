use std::{
    fmt, io,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;

use super::state::{Shared, State, wake};
use crate::{BoxError, blocking::hold, spool::Spool};

/// How long a writer waits for a reader when there is no room left on disk either.
const STALL: Duration = Duration::from_secs(30);

/// How often a writer without disk space looks whether another body has given some back.
const RETRY: Duration = Duration::from_millis(100);

/// The end on the thread. Dropped unfinished, it breaks the body off.
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Hands a frame over. Blocks while it writes to disk, or waits for room there.
    pub(crate) fn send(&mut self, frame: Frame<Bytes>) -> Result<(), SendError> {
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
        let mut since = Instant::now();
        loop {
            if state.reader_gone {
                return Err(SendError::ClientGone);
            }
            data = match state.keep(data) {
                Ok(()) => {
                    wake(state);
                    return Ok(());
                }
                Err(data) => data,
            };
            if state.unread() == 0 && state.written > 0 {
                state = self.clear_disk(state).map_err(SendError::Disk)?;
            }
            if state.reserve_disk(data.len()) {
                drop(state);
                return hold::waiting(|| self.write(&data)).map_err(SendError::Disk);
            }
            if state.taken > taken {
                (taken, since) = (state.taken, Instant::now());
            } else if since.elapsed() > STALL {
                return Err(SendError::ClientStalled);
            }
            drop(state);
            // Not with the lock: the event loop must never wait for what this thread takes again.
            hold::waiting(|| drop(self.wait_for_reader(taken)));
            state = self.shared.state();
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
    fn clear_disk<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> io::Result<MutexGuard<'a, State>> {
        (state.written, state.read) = (0, 0);
        let spool = state.spool.clone();
        drop(state);
        if let Some(spool) = spool {
            hold::waiting(|| spool.clear())?;
        }
        let mut state = self.shared.state();
        state.reservation.shrink_to(0);
        Ok(state)
    }

    /// Writes to the end of the file, without the lock: the reader goes on meanwhile.
    fn write(&self, data: &[u8]) -> io::Result<()> {
        let (position, spool) = {
            let state = self.shared.state();
            (state.written, state.spool.clone())
        };
        let spool = spool.map_or_else(Spool::create, Ok)?;
        spool.write_at(data, position)?;
        let mut state = self.shared.state();
        state.spool = Some(spool);
        state.written += data.len() as u64;
        wake(state);
        Ok(())
    }

    /// The body is complete.
    pub(crate) fn finish(self) {
        self.end(Ok(()));
    }

    /// The body breaks off here.
    pub(crate) fn fail(self, error: BoxError) {
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
pub(crate) enum SendError {
    ClientGone,
    ClientStalled,
    Disk(io::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientGone => f.write_str("the client has left"),
            Self::ClientStalled => write!(
                f,
                "the client took nothing for {STALL:?}, and the pool has no disk space left"
            ),
            Self::Disk(error) => write!(f, "cannot write to the temporary file: {error}"),
        }
    }
}
