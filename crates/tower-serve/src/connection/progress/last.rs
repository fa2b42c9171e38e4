use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::access_log::Record;

/// The record of the last response that hyper has got all of: until that is written, and then for the next
/// request.
#[derive(Debug, Default)]
pub(in crate::connection) struct LastRecord {
    /// Of the response, something may not be written yet. Only the connection's own task asks.
    is_unsent: AtomicBool,
    record: Mutex<Option<Box<Record>>>,
}

impl LastRecord {
    /// hyper has got all of a response. When it gets the next one already, the one before counts as sent:
    /// only small ones wait behind each other.
    pub(super) fn set_unsent(&self, record: Box<Record>) {
        self.is_unsent.store(true, Relaxed);
        if let Some(mut before) = self.lock().replace(record) {
            before.sent();
        }
    }

    /// Everything was written.
    pub(in crate::connection) fn sent(&self) {
        if !self.is_unsent.load(Relaxed) {
            return;
        }
        self.is_unsent.store(false, Relaxed);
        if let Some(record) = &mut *self.lock() {
            record.sent();
        }
    }

    /// What is not written will not be. The connection has written so many bytes until now.
    pub(super) fn cut(&self, written: u64) {
        if let Some(record) = &mut *self.lock() {
            record.cut(written);
        }
    }

    /// A record to be used again: one whose response was sent.
    pub(in crate::connection) fn take(&self) -> Option<Box<Record>> {
        self.lock().take_if(|record| record.is_logged())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Record>>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
