//! The handle of a log: [`LineWriter`].

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use super::{buffer::Buffer, output::Output, writer::Writer};
use crate::threads;

/// The logs of this process that are open.
static OPEN: Mutex<Vec<Weak<Buffer>>> = Mutex::new(Vec::new());

/// Opens the files of all logs of this process again: they were renamed, and the next lines belong into new ones.
pub fn reopen_all() {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|log| log.upgrade().is_some_and(|log| log.reopen()));
}

/// Writes lines to a log without waiting for it. When it is dropped, no more lines come.
#[derive(Debug)]
pub struct LineWriter(Arc<Buffer>);

impl LineWriter {
    /// Starts the thread that writes. It lets lines gather for this long, so that one write takes many.
    pub fn start(output: Output, gather: Duration) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::new(gather));
        let writer = Writer::new(buffer.clone(), output);
        let name = writer.thread_name();
        threads::start(&name, move || writer.run())?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|log| log.strong_count() > 0);
        open.push(Arc::downgrade(&buffer));
        Ok(Self(buffer))
    }

    /// Adds what `write` adds, which is one line, or drops it. Never waits.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.add(write);
    }

    /// Waits until what was added has been written, and says whether it has. A log that takes nothing is not waited
    /// for again before it takes something.
    pub fn flush_within(&self, time: Duration) -> bool {
        self.0.flush_within(time)
    }

    /// No more lines come: waits until the last is written, and says whether it is.
    pub fn close_within(&self, time: Duration) -> bool {
        self.0.close();
        self.0.finishes_within(time)
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.0.close();
    }
}
