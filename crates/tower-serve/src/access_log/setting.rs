use std::path::PathBuf;

/// Where a server logs the requests that it has answered, and in which format.
///
/// ```
/// use tower_serve::{AccessLog, AccessLogFormat};
///
/// let log = AccessLog::new("/var/log/shop/access.log").format(AccessLogFormat::Json);
/// ```
///
/// # What is logged
///
/// One line per request, when its response has been handed to the kernel or can no longer be. That
/// includes the requests that the server refuses before the service sees them; of one that hyper
/// cannot parse nothing is known, and its request line is `-`.
///
/// * The time is when the request's head had arrived, in UTC.
/// * The user is the one of `Authorization: Basic` (RFC 7617), as the client claims it: whether that
///   was accepted, the status tells.
/// * The bytes are those of the response's body. Of a response that broke off they are what was
///   written to the connection, which may include its head.
/// * The status is 499 when there was no answer: the client had gone before, or a stop's deadline
///   cut the request.
/// * The remote address is `unix` for a client of a Unix socket. Behind a proxy it is the proxy's.
///
/// What a client sends is escaped, so that no request can forge a line or a field, and cut, which
/// `...` marks: the target after 8 KiB, other fields earlier; all of it earlier where the log goes
/// to a pipe, so that a line stays within the 4 KiB that the kernel keeps together.
///
/// # How it is written
///
/// The event loop fills a buffer of at most 1 MiB, and a thread writes it, within a second. When the
/// file does not keep up, lines are dropped and a warning counts them; requests never wait.
///
/// Workers append to one file, whole lines at a time. A file that was renamed, as `logrotate` does,
/// is created anew with the next line, within a second, or at once at `SIGUSR1`. A named pipe needs no reader.
///
/// # Errors
///
/// A file that cannot be opened is an error of the start. One that cannot be written later is
/// reported once, and tried again every second.
///
/// # Stop
///
/// A worker writes what it has logged before it ends, but waits no longer than three seconds
/// for the file. A process that is ended at once or killed loses the lines of its last moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an access log does nothing until it is put into a Config"]
pub struct AccessLog {
    /// The file; `-` is standard output.
    pub path: PathBuf,
    /// How the lines look.
    pub format: AccessLogFormat,
}

impl AccessLog {
    /// Logs to this file, in the combined format. `-` is standard output.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: AccessLogFormat::default(),
        }
    }

    /// Chooses how the lines look. Default: [`AccessLogFormat::Combined`].
    pub fn format(mut self, format: AccessLogFormat) -> Self {
        self.format = format;
        self
    }
}

/// How the lines of an [`AccessLog`] look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Apache's common log format.
    ///
    /// ```text
    /// 192.0.2.7 - ann [21/Aug/2026:12:00:00 +0000] "GET /a?b HTTP/1.1" 200 5
    /// ```
    Common,
    /// The common format, the referrer and the user agent.
    ///
    /// ```text
    /// 192.0.2.7 - ann [21/Aug/2026:12:00:00 +0000] "GET /a?b HTTP/1.1" 200 5 "-" "curl/8.5.0"
    /// ```
    #[default]
    Combined,
    /// One JSON object a line. What is not known is `null`.
    ///
    /// The keys are `time`, `remote`, `user`, `method`, `target`, `version`, `host`, `referer`,
    /// `user_agent`, `status`, `bytes`, `duration_us` (from the request's head to the end of the
    /// response, in microseconds), `aborted` (whether the response broke off, or never began),
    /// `slot` (the worker's, from 0) and `pid`.
    Json,
}
