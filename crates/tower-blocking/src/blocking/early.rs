//! The answer of a job before it has ended, for WSGI's `write`.

use std::{cell::RefCell, fmt, sync::Arc};

use http::Response;
use http_body::SizeHint;

use super::{
    deferred,
    pipe::{Reader, Room, Writer, pipe},
};
use crate::Body;

thread_local! {
    static CURRENT: RefCell<Option<Early>> = const { RefCell::new(None) };
}

/// Where a job's answer goes, whatever else the job may come to.
pub(super) trait Answer: Send + Sync {
    /// Says whether anybody is left to take it.
    fn answer(&self, response: Response<Body>) -> bool;

    /// For its body.
    fn room(&self) -> &Room;
}

/// Answers the request of a job that still runs. What the job returns in the end is dropped then.
#[derive(Clone)]
pub struct Early(Arc<dyn Answer>);

impl Early {
    /// Of the job that runs on this thread; `None` on a thread that is not a pool's.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Says whether anybody is left to take it.
    pub fn answer(&self, response: Response<Body>) -> bool {
        let is_awaited = self.0.answer(response);
        // The job goes on.
        deferred::flush();
        is_awaited
    }

    /// For a body of `size`, that is written on this thread and read on the event loop.
    pub fn pipe(&self, size: SizeHint) -> (Writer, Reader) {
        pipe(size, self.0.room())
    }
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early").finish_non_exhaustive()
    }
}

/// A job runs on this thread until this is dropped.
pub(super) struct Running(());

impl Running {
    pub(super) fn begin(answer: Arc<dyn Answer>) -> Self {
        CURRENT.set(Some(Early(answer)));
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}
