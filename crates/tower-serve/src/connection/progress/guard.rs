use std::sync::{
    Arc,
    atomic::Ordering::{AcqRel, Relaxed},
};

use super::{Awaits, BodyState, Progress};
use crate::access_log::Record;

/// A connection that is open.
#[derive(Debug)]
pub(in crate::connection) struct Open(Arc<Progress>);

impl Open {
    pub(in crate::connection) fn begin(progress: &Arc<Progress>) -> Self {
        progress.load.connection_opened();
        progress.load.enter(progress);
        Self(progress.clone())
    }
}

impl Open {
    pub(in crate::connection) fn progress(&self) -> &Arc<Progress> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note_idle(Awaits::Nothing);
        if self.0.calls() == 0 {
            self.0.load.connection_used();
        }
        self.0.load.connection_closed();
        self.0.last_record().cut(self.0.written());
    }
}

/// A request that is being answered: from the call of the service to the end of the response body.
#[derive(Debug)]
pub(in crate::connection) struct Answering {
    progress: Arc<Progress>,
    /// For the access log, if there is one.
    record: Option<Box<Record>>,
}

impl Answering {
    pub(in crate::connection) fn begin(
        progress: &Arc<Progress>,
        record: Option<Box<Record>>,
    ) -> Self {
        let calls = progress.calls();
        if calls == 0 {
            progress.load.connection_used();
        }
        progress.calls.store(calls + 1, Relaxed);
        progress.load.request_began();
        progress.body.store(BodyState::Complete as u8, Relaxed);
        progress.due().set_asked();
        progress.set_loud();
        progress.responding.fetch_add(1, Relaxed);
        Self {
            progress: progress.clone(),
            record,
        }
    }

    pub(in crate::connection) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The service is waited for no longer.
    pub(in crate::connection) fn given_up(&self) {
        self.progress.load.request_given_up();
    }

    pub(in crate::connection) fn record(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.progress.responding.fetch_sub(1, Relaxed);
        self.progress.load.request_ended();
        if let Some(mut record) = self.record.take() {
            if record.is_whole() {
                self.progress.last_record().set_unsent(record);
            } else {
                record.cut(self.progress.written());
            }
        }
    }
}

/// A request body that has not been received to its end.
#[derive(Debug)]
pub(in crate::connection) struct Receiving {
    progress: Arc<Progress>,
    call: u64,
}

impl Receiving {
    /// `chunked`: its end is not known from the head.
    pub(in crate::connection) fn begin(progress: &Arc<Progress>, chunked: bool) -> Self {
        progress.body.store(BodyState::Unread as u8, Relaxed);
        progress.receiving.fetch_add(1, AcqRel);
        progress.recent().begin_body(progress.calls(), chunked);
        if chunked {
            // Until the end was seen, and without trailers. hyper ends a trailer line at CR LF but parses
            // it at a bare LF, so that it may swallow a request as trailers.
            progress.tainted.store(true, Relaxed);
        }
        Self {
            progress: progress.clone(),
            call: progress.calls(),
        }
    }

    pub(in crate::connection) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether a line before one of its chunks is not valid.
    pub(in crate::connection) fn has_bad_chunks(&self) -> bool {
        self.is_current() && self.progress.recent().has_bad_chunks()
    }

    /// All of it was received. `trailers`: what followed cannot be trusted.
    pub(in crate::connection) fn end(self, trailers: bool) {
        self.set(BodyState::Complete);
        if trailers {
            self.progress.set_closing();
        } else if self.is_current() {
            self.progress.tainted.store(false, Relaxed);
        }
    }

    /// The rest of it cannot be received.
    pub(in crate::connection) fn fail(self, state: BodyState) {
        self.set(state);
        self.progress.set_closing();
    }

    fn set(&self, state: BodyState) {
        if self.is_current() {
            self.progress.body.store(state as u8, Relaxed);
        }
    }

    fn is_current(&self) -> bool {
        self.call == self.progress.calls()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.progress.due().set_body_awaited(false);
        self.progress.receiving.fetch_sub(1, AcqRel);
        self.progress.received.wake();
    }
}
