//! The logs that a process has one of each: its server log, and its standard output.

use std::{
    process,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    stdio,
};

use tower_serve::internal::log_writer::{LineWriter, Output, Target};

/// How long a process that ends, or has not begun to serve, waits for a log that does not keep up. A stop's deadline
/// is followed by this.
const LAST_LINES: Duration = Duration::from_millis(500);

static SERVER_LOG: OnceLock<Log> = OnceLock::new();
static STDOUT: OnceLock<Log> = OnceLock::new();

/// How many servers of this process must not wait for a log.
static SERVING: AtomicUsize = AtomicUsize::new(0);

/// Says where the server log goes, before the first line: afterwards nothing changes.
#[cfg(feature = "cli")]
pub(crate) fn start(target: Target) {
    SERVER_LOG.get_or_init(|| Log::start(target));
}

fn server_log() -> &'static Log {
    SERVER_LOG.get_or_init(|| Log::start(Target::stderr()))
}

pub(super) fn stdout() -> &'static Log {
    STDOUT.get_or_init(|| Log::start(Target::stdout()))
}

/// Writes to the server log.
pub(crate) fn write(bytes: &[u8]) {
    server_log().write(bytes);
}

/// Waits for the server log, but not for long.
pub(crate) fn flush() {
    server_log().flush();
}

/// Tells the operator why the program ends: on standard error, also where the log is a file.
pub(crate) fn last_words(text: &str) {
    let line = format!("{text}\n");
    let log = server_log();
    log.write(line.as_bytes());
    log.flush();
    if !log.target.is_stderr() {
        let stderr = Log::start(Target::stderr());
        stderr.write(line.as_bytes());
        stderr.flush();
    }
}

/// Until this is dropped, nothing in this process waits for a log. Before and afterwards each line is written before
/// the program goes on, as far as the log takes it: the program may end at any time then.
#[derive(Debug)]
pub(crate) struct Serving(());

pub(crate) fn serving() -> Serving {
    SERVING.fetch_add(1, Relaxed);
    Serving(())
}

impl Drop for Serving {
    fn drop(&mut self) {
        SERVING.fetch_sub(1, Relaxed);
        for log in [SERVER_LOG.get(), STDOUT.get()].into_iter().flatten() {
            log.flush();
        }
    }
}

/// A log that is written for as long as the process lives.
#[derive(Debug)]
pub(super) struct Log {
    target: Target,
    /// `None` when the system has no thread for it.
    writer: Option<LineWriter>,
    /// Whose thread it is. A process that was forked has none, and perhaps a lock that nobody will ever release.
    pid: u32,
}

impl Log {
    fn start(target: Target) -> Self {
        Self {
            writer: LineWriter::start(Output::later(target.clone()), Duration::ZERO).ok(),
            target,
            pid: process::id(),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        if process::id() != self.pid {
            // Any other program, for which nobody waits.
            self.write_now(bytes);
        } else if let Some(writer) = &self.writer {
            writer.add(|lines| lines.extend_from_slice(bytes));
            if SERVING.load(Relaxed) == 0 {
                writer.flush_within(LAST_LINES);
            }
        } else if self.has_room() {
            self.write_now(bytes);
        }
    }

    pub(super) fn flush(&self) {
        if process::id() == self.pid
            && let Some(writer) = &self.writer
        {
            writer.flush_within(LAST_LINES);
        }
    }

    fn descriptor(&self) -> std::os::fd::BorrowedFd<'static> {
        if self.target.is_stdout() {
            stdio::stdout()
        } else {
            stdio::stderr()
        }
    }

    fn has_room(&self) -> bool {
        let descriptor = self.descriptor();
        let now = Timespec::default();
        let room = poll(&mut [PollFd::new(&descriptor, PollFlags::OUT)], Some(&now));
        room.is_ok_and(|ready| ready > 0)
    }

    /// Writes past the file of the log, to the standard stream.
    fn write_now(&self, mut bytes: &[u8]) {
        while let Ok(written @ 1..) = rustix::io::write(self.descriptor(), bytes) {
            bytes = &bytes[written..];
        }
    }
}
