use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Bytes of lines that wait. As many again may be in the hands of the writer.
const CAPACITY: usize = 1 << 20;

/// The writer comes earlier when so many bytes wait: few, so that they, and as many that are being written, leave
/// most of the processor's cache to the requests.
const ENOUGH: usize = 64 << 10;

/// How long it lets lines gather.
const GATHER: Duration = Duration::from_millis(200);

/// Lines on their way from the event loop, which never waits, to the writer.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that found no room, since the writer was told.
    dropped: u64,
    closed: bool,
    /// The writer has ended.
    finished: bool,
}

/// What the writer gets beside the lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) dropped: u64,
    /// No more will come.
    pub(super) closed: bool,
}

impl Buffer {
    /// Adds what `write` adds, which is one line, or drops it.
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
        drop(state);
        // Only when the writer waits for it: a wake-up costs more than a line.
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.changed.notify_all();
        }
    }

    /// Waits for lines, lets more of them gather, and swaps them for `lines`, which is empty.
    pub(super) fn take(&self, lines: &mut Vec<u8>) -> Taken {
        let idle = |state: &mut State| !state.closed && state.lines.is_empty();
        let few = |state: &mut State| !state.closed && state.lines.len() < ENOUGH;
        let state = self.changed.wait_while(self.lock(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, GATHER, few);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut state.lines, lines);
        Taken {
            dropped: std::mem::take(&mut state.dropped),
            closed: state.closed,
        }
    }

    /// No more lines come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until no more lines come, and says whether that is so.
    pub(super) fn closes_within(&self, time: Duration) -> bool {
        self.wait(time, |state| state.closed)
    }

    /// The writer has written what it could.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Waits until the writer has ended, and says whether it has.
    pub(super) fn finishes_within(&self, time: Duration) -> bool {
        self.wait(time, |state| state.finished)
    }

    fn wait(&self, time: Duration, until: impl Fn(&State) -> bool) -> bool {
        let unmet = |state: &mut State| !until(state);
        let waited = self.changed.wait_timeout_while(self.lock(), time, unmet);
        until(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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
        let buffer = Buffer::default();
        add(&buffer, "one\n");
        add(&buffer, "two\n");
        let mut lines = Vec::new();
        let taken = buffer.take(&mut lines);
        assert_eq!(lines, b"one\ntwo\n");
        assert_eq!(
            taken,
            Taken {
                dropped: 0,
                closed: false
            }
        );
    }

    #[test]
    fn what_finds_no_room_is_dropped_whole_and_counted() {
        let buffer = Buffer::default();
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
        let buffer = Buffer::default();
        thread::scope(|scope| {
            let writer = scope.spawn(|| buffer.take(&mut Vec::new()).closed);
            buffer.close();
            assert!(writer.join().unwrap());
        });
        assert!(buffer.closes_within(Duration::ZERO));
        assert!(!buffer.finishes_within(Duration::ZERO));
        buffer.finish();
        assert!(buffer.finishes_within(Duration::ZERO));
    }
}
