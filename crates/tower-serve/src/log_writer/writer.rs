//! The handle of a log, and the thread that writes it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    buffer::{Buffer, WriterCall},
    log_file::{LogFile, is_full},
};
use crate::{error::error_text, threads};

/// How long to wait before a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The shortest time between two warnings of dropped lines.
const WARN: Duration = Duration::from_secs(10);

/// How long to wait at the end for a reader that does not keep up.
const LAST_LINES: Duration = Duration::from_secs(3);

/// The open logs of this process.
static OPEN: Mutex<Vec<Weak<Buffer>>> = Mutex::new(Vec::new());

/// Opens the files of all logs of this process again, after they were renamed.
pub fn reopen_all() {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|log| log.upgrade().is_some_and(|log| log.reopen()));
}

/// The handle of a log, which never waits for its file. When it is dropped, the remaining lines are written.
#[derive(Debug)]
pub struct LineWriter(Arc<Buffer>);

impl LineWriter {
    /// Starts the thread that writes. It lets lines gather for the time `gather`, to write many at once.
    pub fn start(output: LogFile, gather: Duration) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::new(gather));
        let writer = Writer::new(buffer.clone(), output);
        let name = writer.thread_name();
        threads::start(&name, move || writer.run())?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|log| log.strong_count() > 0);
        open.push(Arc::downgrade(&buffer));
        Ok(Self(buffer))
    }

    /// Adds the line that `write` writes, or drops it. Never waits.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.add(write);
    }

    /// Waits until the lines that were added are written, and returns whether they are. After a log has taken nothing
    /// for this time, the next call does not wait until it takes something again.
    #[must_use]
    pub fn flush_within(&self, time: Duration) -> bool {
        self.0.flush_within(time)
    }

    /// Ends the log: waits until the last line is written, and returns whether it is.
    #[must_use]
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

/// Writes the lines of one log, on a thread of its own.
#[derive(Debug)]
pub(super) struct Writer {
    buffer: Arc<Buffer>,
    output: LogFile,
    /// Dropped lines that were not reported yet.
    dropped: u64,
    warned: Option<Instant>,
    /// The file cannot be written, and that was reported.
    failing: bool,
}

impl Writer {
    pub(super) fn new(buffer: Arc<Buffer>, output: LogFile) -> Self {
        Self {
            buffer,
            output,
            dropped: 0,
            warned: None,
            failing: false,
        }
    }

    pub(super) fn thread_name(&self) -> String {
        self.output.name().replace(' ', "-")
    }

    /// Writes until the buffer is closed.
    pub(super) fn run(mut self) {
        let mut lines = Vec::new();
        let mut closed = false;
        while !closed {
            let taken = self.buffer.take(&mut lines);
            closed = taken.closed;
            self.dropped += taken.dropped;
            if taken.reopen {
                self.output.reopen();
            }
            self.write(&mut lines);
            self.warn(closed);
        }
        self.buffer.finish();
    }

    /// Writes all lines, and tries again until it succeeds. At the end it tries for a limited time.
    fn write(&mut self, lines: &mut Vec<u8>) {
        let mut last = None;
        while !lines.is_empty() {
            let Err(error) = self.output.write(lines) else {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the {} can be written again", self.output.name());
                }
                break;
            };
            // The write has waited for the reader of a full pipe, which may only be slow.
            let pause = if is_full(&error) {
                Duration::ZERO
            } else {
                self.fail(&error_text(&error));
                RETRY
            };
            match self.buffer.call_within(pause) {
                None => {}
                Some(WriterCall::Reopen) => self.output.reopen(),
                Some(WriterCall::Close) => {
                    let end = *last.get_or_insert_with(|| Instant::now() + LAST_LINES);
                    let gives_up = !is_full(&error) || Instant::now() >= end;
                    if gives_up && self.output.write(lines).is_err() {
                        self.dropped += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
                        lines.clear();
                        self.buffer.done();
                        return;
                    }
                }
            }
        }
        self.buffer.done();
    }

    /// Reports the error, once. An error of the server log cannot be reported, as that is where reports go.
    fn fail(&mut self, error: &str) {
        self.buffer.stuck();
        if !std::mem::replace(&mut self.failing, true) && !self.output.is_server_log() {
            let name = self.output.name();
            tracing::error!(
                error,
                "cannot write the {name}; trying again until it works"
            );
        }
    }

    /// Reports how many lines were dropped, at most every 10 seconds.
    fn warn(&mut self, closed: bool) {
        let recently = self.warned.is_some_and(|warned| warned.elapsed() < WARN);
        if self.dropped == 0 || recently && !closed {
            return;
        }
        let name = self.output.name();
        tracing::warn!(
            lines = self.dropped,
            "lines of the {name} were dropped: its file did not take them in time"
        );
        self.dropped = 0;
        self.warned = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::Path,
        sync::Mutex,
        thread::{self, JoinHandle},
    };

    use tracing::{
        Event, Level, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    use super::{super::target::Target, *};

    /// The events that were logged on the writer's thread.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<String>>>);

    impl Events {
        fn all(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Subscriber for Events {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::INFO
        }

        fn event(&self, event: &Event<'_>) {
            struct Text(String);
            impl Visit for Text {
                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    self.0 += &format!("{}={value:?} ", field.name());
                }
            }
            let mut text = Text(format!("{} ", event.metadata().level()));
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn start(path: &Path) -> (Arc<Buffer>, Events, JoinHandle<()>) {
        let (buffer, events) = (Arc::new(Buffer::new(Duration::ZERO)), Events::default());
        let writer = Writer::new(buffer.clone(), LogFile::new(Target::access_log(path)));
        let thread = thread::spawn({
            let events = events.clone();
            move || tracing::subscriber::with_default(events, || writer.run())
        });
        (buffer, events, thread)
    }

    fn add(buffer: &Buffer, line: &str) {
        buffer.add(|lines| lines.extend_from_slice(line.as_bytes()));
    }

    fn wait_until(done: impl Fn() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < Duration::from_secs(60));
            thread::yield_now();
        }
    }

    #[test]
    fn lines_are_written_soon_and_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (buffer, events, thread) = start(&path);
        for count in 1..=3 {
            add(&buffer, "line\n");
            wait_until(|| fs::read_to_string(&path).unwrap() == "line\n".repeat(count));
        }
        add(&buffer, "last\n");
        buffer.close();
        assert!(buffer.finishes_within(Duration::from_secs(60)));
        assert!(fs::read(&path).unwrap().ends_with(b"line\nlast\n"));
        thread.join().unwrap();
        assert_eq!(events.all(), [""; 0]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_reported_once_and_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later").join("log");
        let (buffer, events, thread) = start(&path);
        add(&buffer, "one\n");
        wait_until(|| !events.all().is_empty());
        add(&buffer, "two\n");
        fs::create_dir(path.parent().unwrap()).unwrap();
        wait_until(|| events.all().len() == 2);
        buffer.close();
        thread.join().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        let events = events.all();
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[0].starts_with("ERROR "), "{events:?}");
        assert!(events[0].contains("cannot write the access log"));
        assert!(events[1].contains("can be written again"));
    }

    #[test]
    fn lost_lines_are_counted() {
        let (buffer, events, thread) = start(Path::new("/dev/full"));
        add(&buffer, "one\ntwo\n");
        wait_until(|| !events.all().is_empty());
        buffer.close();
        thread.join().unwrap();
        let last = events.all().pop().unwrap();
        assert!(
            last.starts_with("WARN ") && last.contains("lines=2 "),
            "{last}"
        );
    }

    #[test]
    fn dropped_lines_are_reported_now_and_then() {
        let mut writer = Writer::new(
            Arc::new(Buffer::new(Duration::ZERO)),
            LogFile::new(Target::access_log(Path::new("/dev/null"))),
        );
        let events = Events::default();
        tracing::subscriber::with_default(events.clone(), || {
            for dropped in [0, 3, 4, 5] {
                writer.dropped += dropped;
                writer.warn(false);
            }
            writer.warned = Instant::now().checked_sub(WARN);
            writer.warn(false);
            writer.dropped += 6;
            writer.warn(true);
        });
        let counts: Vec<_> = events
            .all()
            .iter()
            .map(|event| event.split("lines=").nth(1).unwrap().trim().to_owned())
            .collect();
        assert_eq!(counts, ["3", "9", "6"]);
    }

    #[test]
    fn lines_without_room_in_a_pipe_are_counted_when_there_is_room_again() {
        const LINES: usize = 40_000;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let (buffer, events, thread) = start(&path);
        let line = format!("{}\n", "x".repeat(99));
        for _ in 0..LINES {
            // Four times what the pipe, the writer and the buffer hold.
            add(&buffer, &line);
        }
        let reader = fs::File::open(&path).unwrap();
        let read = thread::spawn(move || {
            let lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
            lines
                .take_while(|line| line.as_ref().unwrap() != "end")
                .count()
        });
        wait_until(|| !events.all().is_empty());
        add(&buffer, "end\n");
        let read = read.join().unwrap();
        buffer.close();
        thread.join().unwrap();
        let dropped: usize = events
            .all()
            .iter()
            .map(|event| {
                event
                    .split("lines=")
                    .nth(1)
                    .unwrap()
                    .trim()
                    .parse::<usize>()
                    .unwrap()
            })
            .sum();
        assert!(dropped > 0);
        assert_eq!(read + dropped, LINES);
    }
}
