//! The settings of the access log: [`AccessLog`].

use std::path::PathBuf;

/// The file that a server logs its requests to, and their format.
///
/// ```
/// use tower_serve::{AccessLog, AccessLogFormat};
///
/// let log = AccessLog::new("/var/log/shop/access.log").format(AccessLogFormat::Json);
/// ```
///
/// # What is logged
///
/// One line for each request, when its response has been written to the socket or was aborted. That includes the
/// requests that the server refuses before the service sees them. If the request line of one cannot be parsed, it is
/// logged as `-`.
///
/// * The time is when the request's head had arrived, in UTC.
/// * The user is the one of `Authorization: Basic` (RFC 7617), as the client claims it, whether or not the application
///   has accepted it.
/// * The bytes are those of the response body. For an aborted response they are the bytes that were written to the
///   connection, which may include its head.
/// * The status is 499 if there was no response: the client left before, or the deadline of a shutdown cut the request.
/// * The remote address is [the client's](crate::ConnectInfo::client): what a trusted proxy says, or the address of who has
///   connected. It is `unix` for a client of a Unix socket.
///
/// An upgraded connection, such as a WebSocket, has two lines: that of its request, with status 101, and one at its end.
/// The second has the name of the protocol in place of the version, the bytes that the service has sent, and behind
/// everything else the bytes that it has received and the seconds since the request: `received=340 duration=12.345`. In JSON
/// these are `received` and `duration_us`; `aborted` says whether the connection was cut. The server's own pings and close
/// frames are not counted.
///
/// Text of a client is escaped, so that no request can forge a line or a field, and is truncated, which `...` marks: the
/// target after 8 KiB, other fields earlier. If the log is a pipe, all are truncated earlier, so that a line stays within
/// the 4 KiB that the kernel keeps together.
///
/// # How it is written
///
/// The event loop fills a buffer of at most 1 MiB, which a thread writes within a second. If the file does not keep up,
/// lines are dropped and a warning counts them. Requests never wait.
///
/// Several processes can append to one file; they write whole lines. After the file was renamed, as `logrotate` does, a
/// new one is created within a second (with `tower-prefork` at once at `SIGUSR1`). A named pipe needs no reader.
///
/// # Errors
///
/// `tower-prefork` refuses to start if the file cannot be opened. A file that cannot be written later is reported once,
/// and tried again every second.
///
/// # Shutdown
///
/// When the last connection and the server are dropped, the remaining lines are written, which takes at most three
/// seconds. A process that is killed loses the lines of its last moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an access log does nothing until it is put into a Config"]
pub struct AccessLog {
    /// The file; `-` is standard output.
    pub path: PathBuf,
    /// The format of the lines.
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

    /// Sets the format of the lines. Default: [`AccessLogFormat::Combined`].
    pub fn format(mut self, format: AccessLogFormat) -> Self {
        self.format = format;
        self
    }
}

/// The format of the lines of an [`AccessLog`].
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
    /// One JSON object for each line. Values that are not known are `null`.
    ///
    /// The keys are `time`, `remote`, `user`, `method`, `target`, `version`, `host`, `referer`,
    /// `user_agent`, `status`, `bytes`, `duration_us` (from the request's head to the end of the
    /// response, in microseconds), `aborted` (whether the response was cut off or never began),
    /// `slot` (the worker's, from 0) and `pid`; and `request_id`, if the server [gives each request
    /// one](crate::HttpServerBuilder::request_id).
    Json,
}
