//! The server log: what the processes of a program report, on standard error or in a file. Writing to it never blocks, and
//! never fails.

#[cfg(feature = "cli")]
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Write as _,
    panic::{self, PanicHookInfo},
    thread,
};
use std::{
    io,
    os::fd::BorrowedFd,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    stdio,
};
use tower_serve::internal::log_writer::{LineWriter, LogFile, Target};
#[cfg(feature = "cli")]
use tower_serve::internal::panic_text;

/// A writer for a program that never blocks and never fails: to the log of the server, or to standard output.
///
/// Writes go into a buffer of at most 1 MiB, which a thread writes out at once. If the log does not accept them (a pipe
/// without a reader or with one that hangs, a full disk), lines that do not fit into the buffer are dropped, and the log
/// tells their number later. Each write should consist of whole lines.
///
/// `cli::Args::init_logging` writes to it. A program with a subscriber of its own uses it as the writer of that subscriber,
/// so that no log can stop the program:
///
/// ```
/// # #[cfg(feature = "cli")]
/// # fn main() {
/// use tower_prefork::LogStream;
///
/// tracing_subscriber::fmt()
///     .with_writer(LogStream::server_log)
///     .log_internal_errors(false)
///     .init();
/// # }
/// # #[cfg(not(feature = "cli"))]
/// # fn main() {}
/// ```
///
/// # Flush
///
/// `flush` waits until everything is written, but at most half a second, and not again before the log accepts something. A
/// server flushes when it ends. While no server runs in the process, each write flushes, because the program may exit at
/// any time.
///
/// # Forks
///
/// A process that was forked, for example by Python's `multiprocessing`, has no writing thread. There, writes go to standard
/// error or standard output at once.
#[derive(Clone, Copy, Debug)]
pub struct LogStream(StreamKind);

#[derive(Clone, Copy, Debug)]
enum StreamKind {
    ServerLog,
    Stdout,
}

impl LogStream {
    /// The log of the server: standard error, or the file of `--log-file`.
    #[must_use]
    pub fn server_log() -> Self {
        Self(StreamKind::ServerLog)
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self(StreamKind::Stdout)
    }
}

impl io::Write for LogStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0 {
            StreamKind::ServerLog => write(bytes),
            StreamKind::Stdout => stdout().write(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {
            StreamKind::ServerLog => flush(),
            StreamKind::Stdout => stdout().flush(),
        }
        Ok(())
    }
}

/// How long a process waits for a slow log when it exits, and before it serves. At a stop this follows the deadline.
const LAST_LINES: Duration = Duration::from_millis(500);

static SERVER_LOG: OnceLock<ProcessLog> = OnceLock::new();
static STDOUT: OnceLock<ProcessLog> = OnceLock::new();

/// The number of running servers of this process, which must not wait for a log.
static SERVING: AtomicUsize = AtomicUsize::new(0);

/// Sets where the server log goes. It has no effect after the first line.
#[cfg(feature = "cli")]
pub(crate) fn start(target: Target) {
    SERVER_LOG.get_or_init(|| ProcessLog::start(target));
}

fn server_log() -> &'static ProcessLog {
    SERVER_LOG.get_or_init(|| ProcessLog::start(Target::stderr()))
}

fn stdout() -> &'static ProcessLog {
    STDOUT.get_or_init(|| ProcessLog::start(Target::stdout()))
}

/// Writes to the server log.
pub(crate) fn write(bytes: &[u8]) {
    server_log().write(bytes);
}

/// Waits until the server log is written, but not for long.
pub(crate) fn flush() {
    server_log().flush();
}

/// Writes the error that ends the program to the log, and to standard error if the log is a file.
pub(crate) fn write_final(text: &str) {
    let line = format!("{text}\n");
    let log = server_log();
    log.write(line.as_bytes());
    log.flush();
    if !log.target.is_stderr() {
        let stderr = ProcessLog::start(Target::stderr());
        stderr.write(line.as_bytes());
        stderr.flush();
    }
}

/// While this exists, nothing in this process waits for a log. Before and afterwards, the writer of a line waits until the
/// log has taken it, because the program may exit at any time.
#[derive(Debug)]
pub(crate) struct Serving(());

/// A server of this process runs until the guard is dropped.
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

/// A log of this process, which is written until the process ends.
#[derive(Debug)]
struct ProcessLog {
    target: Target,
    /// `None` if the system refuses a thread for it.
    writer: Option<LineWriter>,
    /// The process that owns the thread. A process that was forked has no such thread, and perhaps a lock that is never
    /// released.
    pid: u32,
}

impl ProcessLog {
    fn start(target: Target) -> Self {
        Self {
            writer: LineWriter::start(LogFile::later(target.clone()), Duration::ZERO).ok(),
            target,
            pid: std::process::id(),
        }
    }

    fn write(&self, bytes: &[u8]) {
        if std::process::id() != self.pid {
            // A forked process.
            self.write_now(bytes);
        } else if let Some(writer) = &self.writer {
            writer.add(|lines| lines.extend_from_slice(bytes));
            if SERVING.load(Relaxed) == 0 {
                let _ = writer.flush_within(LAST_LINES);
            }
        } else if self.has_room() {
            self.write_now(bytes);
        }
    }

    fn flush(&self) {
        if std::process::id() == self.pid
            && let Some(writer) = &self.writer
        {
            let _ = writer.flush_within(LAST_LINES);
        }
    }

    fn descriptor(&self) -> BorrowedFd<'static> {
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

    /// Writes to the standard stream, even if the log is a file.
    fn write_now(&self, mut bytes: &[u8]) {
        while let Ok(written @ 1..) = rustix::io::write(self.descriptor(), bytes) {
            bytes = &bytes[written..];
        }
    }
}

/// Lets a warning through at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct WarnLimit(Option<Instant>);

impl WarnLimit {
    /// Whether the warning is to be logged now.
    pub(crate) fn is_due(&mut self) -> bool {
        const INTERVAL: Duration = Duration::from_secs(60);
        let is_due = self.0.is_none_or(|last| last.elapsed() >= INTERVAL);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

/// Writes panics to the server log from here on. Rust prints them to standard error, and waits for it.
#[cfg(feature = "cli")]
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        write(panic_message(info).as_bytes());
        // The process may exit.
        flush();
    }));
}

/// A panic as Rust prints it.
#[cfg(feature = "cli")]
fn panic_message(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let mut text = format!("\nthread '{name}' panicked");
    if let Some(place) = info.location() {
        // Writing to a string does not fail.
        let _ = write!(text, " at {place}");
    }
    let _ = writeln!(text, ":\n{}", panic_text(info.payload()));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        let _ = writeln!(text, "stack backtrace:\n{trace}");
    }
    text
}
