//! The lines that wait for the writer of a log, in bounded memory.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The most bytes of waiting lines. The writer can hold the same number again.
const CAPACITY: usize = 1 << 20;

/// The number of waiting bytes at which the writer is woken early. It is low, so that the log leaves most of the
/// processor's cache to the requests.
const ENOUGH: usize = 64 << 10;

/// The lines between the threads that add them, which never wait, and the writer.
#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<BufferState>,
    changed: Condvar,
    /// How long the writer lets lines gather.
    gather: Duration,
}

#[derive(Debug, Default)]
struct BufferState {
    lines: Vec<u8>,
    /// The lines that found no room since the last batch.
    dropped: u64,
    /// The numbers of lines that were added, that the writer has taken, and that it has written or given up.
    added: u64,
    taken: u64,
    done: u64,
    /// The log takes nothing, so it is useless to wait for its lines.
    stuck: bool,
    /// The file is to be opened again.
    reopen: bool,
    closed: bool,
    /// The writer has ended.
    finished: bool,
}

/// What the writer gets besides the lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) dropped: u64,
    /// The file is to be opened again before they are written.
    pub(super) reopen: bool,
    /// No more will come.
    pub(super) closed: bool,
}

/// What interrupts a writer that waits for its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriterCall {
    Reopen,
    Close,
}

impl Buffer {
    pub(super) fn new(gather: Duration) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            gather,
        }
    }

    /// Adds the line that `write` writes, or drops it.
    pub(super) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let before = state.lines.len();
        write(&mut state.lines);
        let after = state.lines.len();
        if after > CAPACITY {
            state.lines.truncate(before);
            state.dropped += 1;
            return;
        }
        state.added += 1;
        drop(state);
        // Only if the writer waits for it: a wake-up costs more than a line.
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.changed.notify_all();
        }
    }

    /// Waits for lines, lets more of them gather, and swaps them for `lines`, which is empty.
    pub(super) fn take(&self, lines: &mut Vec<u8>) -> Batch {
        let is_called = |state: &BufferState| state.closed || state.reopen;
        let idle = |state: &mut BufferState| !is_called(state) && state.lines.is_empty();
        let few = |state: &mut BufferState| !is_called(state) && state.lines.len() < ENOUGH;
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if !self.gather.is_zero() {
            let waited = self.changed.wait_timeout_while(state, self.gather, few);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut state.lines, lines);
        state.taken = state.added;
        Batch {
            dropped: std::mem::take(&mut state.dropped),
            reopen: std::mem::take(&mut state.reopen),
            closed: state.closed,
        }
    }

    /// The writer has written its batch, or has given it up.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        let news = state.done != state.taken;
        state.done = state.taken;
        state.stuck = false;
        drop(state);
        if news {
            self.changed.notify_all();
        }
    }

    /// The log takes nothing.
    pub(super) fn stuck(&self) {
        self.lock().stuck = true;
        self.changed.notify_all();
    }

    /// Waits until the lines that were added before are written or given up, and returns whether they are.
    pub(super) fn flush_within(&self, time: Duration) -> bool {
        let state = self.lock();
        let last = state.added;
        let waits = |state: &mut BufferState| state.done < last && !state.stuck && !state.finished;
        let waited = self.changed.wait_timeout_while(state, time, waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let is_done = state.done >= last;
        // The next flush does not wait.
        state.stuck |= !is_done;
        is_done
    }

    /// Has the file opened again. Returns whether the writer still runs.
    pub(super) fn reopen(&self) -> bool {
        let mut state = self.lock();
        state.reopen = true;
        self.changed.notify_all();
        !state.finished
    }

    /// No more lines come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for a call to the writer.
    pub(super) fn call_within(&self, time: Duration) -> Option<WriterCall> {
        let none = |state: &mut BufferState| !state.closed && !state.reopen;
        let waited = self.changed.wait_timeout_while(self.lock(), time, none);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match std::mem::take(&mut state.reopen) {
            true => Some(WriterCall::Reopen),
            false => state.closed.then_some(WriterCall::Close),
        }
    }

    /// The writer has ended.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Waits until the writer has ended, and returns whether it has.
    pub(super) fn finishes_within(&self, time: Duration) -> bool {
        let runs = |state: &mut BufferState| !state.finished;
        let waited = self.changed.wait_timeout_while(self.lock(), time, runs);
        waited.unwrap_or_else(PoisonError::into_inner).0.finished
    }

    fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn add(buffer: &Buffer, line: &str) {
        buffer.add(|lines| lines.extend_from_slice(line.as_bytes()));
    }

    #[test]
    fn lines_come_out_in_their_order() {
        let buffer = Buffer::new(Duration::ZERO);
        add(&buffer, "one\n");
        add(&buffer, "two\n");
        let mut lines = Vec::new();
        let taken = buffer.take(&mut lines);
        assert_eq!(lines, b"one\ntwo\n");
        assert_eq!(
            taken,
            Batch {
                dropped: 0,
                reopen: false,
                closed: false
            }
        );
    }

    #[test]
    fn lines_without_room_are_dropped_whole_and_counted() {
        let buffer = Buffer::new(Duration::ZERO);
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..CAPACITY / 1000 + 3 {
            add(&buffer, &line);
        }
        // A shorter one still fits.
        add(&buffer, "end\n");
        let mut lines = Vec::new();
        assert_eq!(buffer.take(&mut lines).dropped, 3);
        assert_eq!(lines.len(), CAPACITY / 1000 * 1000 + 4);
        assert!(lines.ends_with(b"x\nend\n"));

        add(&buffer, "room again\n");
        lines.clear();
        assert_eq!(buffer.take(&mut lines).dropped, 0);
        assert_eq!(lines, b"room again\n");
    }

    #[test]
    fn the_end_wakes_a_writer_that_waits_for_lines() {
        let buffer = Buffer::new(Duration::ZERO);
        thread::scope(|scope| {
            let writer = scope.spawn(|| buffer.take(&mut Vec::new()).closed);
            buffer.close();
            assert!(writer.join().unwrap());
        });
        assert_eq!(buffer.call_within(Duration::ZERO), Some(WriterCall::Close));
        assert!(!buffer.finishes_within(Duration::ZERO));
        buffer.finish();
        assert!(buffer.finishes_within(Duration::ZERO));
    }

    #[test]
    fn a_flush_waits_for_the_writer_and_not_again_for_one_that_is_stuck() {
        const PATIENCE: Duration = Duration::from_secs(60);

        let buffer = Buffer::new(Duration::ZERO);
        assert!(buffer.flush_within(Duration::ZERO));
        add(&buffer, "one\n");
        thread::scope(|scope| {
            let flush = scope.spawn(|| buffer.flush_within(PATIENCE));
            buffer.take(&mut Vec::new());
            buffer.done();
            assert!(flush.join().unwrap());
        });
        add(&buffer, "two\n");
        assert!(!buffer.flush_within(Duration::from_millis(1)));
        // It would wait for a minute.
        let started = std::time::Instant::now();
        assert!(!buffer.flush_within(PATIENCE));
        assert!(started.elapsed() < PATIENCE);
        buffer.take(&mut Vec::new());
        buffer.done();
        assert!(buffer.flush_within(PATIENCE));
    }

    #[test]
    fn a_writer_is_called_to_open_its_file_again() {
        let buffer = Buffer::new(Duration::ZERO);
        assert_eq!(buffer.call_within(Duration::ZERO), None);
        assert!(buffer.reopen());
        assert!(buffer.take(&mut Vec::new()).reopen);
        buffer.reopen();
        assert_eq!(buffer.call_within(Duration::ZERO), Some(WriterCall::Reopen));
        assert_eq!(buffer.call_within(Duration::ZERO), None);
        buffer.finish();
        assert!(!buffer.reopen());
    }
}
