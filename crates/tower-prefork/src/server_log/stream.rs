//! `LogStream`: the bounded writer, for programs.

use std::io;

use super::process;

/// Where a program prints without ever waiting, and without an error: the log of the server, or standard output.
///
/// What is written goes into a buffer of at most 1 MiB, and a thread writes it out at once. When the log takes nothing
/// (a pipe without a reader, one whose reader hangs, a disk that is full), what finds no room is dropped, and counted
/// in the log when there is room again. Each write should be one line, or several whole ones.
///
/// It is what `cli::Args::init_logging` writes to. A program that has a subscriber
/// of its own gives it this as its writer, so that no log can stop it:
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
/// `flush` waits until everything is written, but at most half a second, and not again before the log takes
/// something. A server flushes at its end. Outside of [`Server::run`](crate::Server::run) and its like, where the
/// program may end at any time, each write flushes.
///
/// # Forks
///
/// A process that was forked, as Python's `multiprocessing` does, has no thread that writes. There, writes go to
/// standard error or output at once.
#[derive(Clone, Copy, Debug)]
pub struct LogStream(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    ServerLog,
    Stdout,
}

impl LogStream {
    /// The log of the server: standard error, or the file of `--log-file`.
    #[must_use]
    pub fn server_log() -> Self {
        Self(Kind::ServerLog)
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self(Kind::Stdout)
    }
}

impl io::Write for LogStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0 {
            Kind::ServerLog => process::write(bytes),
            Kind::Stdout => process::stdout().write(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {
            Kind::ServerLog => process::flush(),
            Kind::Stdout => process::stdout().flush(),
        }
        Ok(())
    }
}
