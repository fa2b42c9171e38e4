//! The access log of a process, and the record of one request, which becomes a line.

use std::{
    borrow::Cow,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use tower_server_info::ConnectInfo;

use super::{
    AccessLog,
    line::{LineFormat, LineHead, Outcome},
    request::LoggedRequest,
};
use crate::log_writer::{LineWriter, LogFile, Target};

/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(200);

/// How long the end of a process waits until the file has taken the last lines.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// The access log of a process. Clones are the same log; when the last one is dropped, the remaining lines are
/// written.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<LogState>);

#[derive(Debug)]
struct LogState {
    format: LineFormat,
    writer: LineWriter,
}

impl Log {
    /// Starts the thread that writes.
    pub(crate) fn start(
        setting: &AccessLog,
        slot: usize,
        has_request_ids: bool,
    ) -> io::Result<Self> {
        let output = LogFile::new(Target::access_log(&setting.path));
        let mut format = LineFormat::new(setting.format, output.is_regular(), slot);
        if has_request_ids {
            format = format.with_request_ids();
        }
        let writer = LineWriter::start(output, GATHER)?;
        Ok(Self(Arc::new(LogState { format, writer })))
    }

    /// The log for the requests of one connection.
    pub(crate) fn client(&self, connection: &ConnectInfo) -> Client {
        Client {
            log: self.clone(),
            remote: remote(connection),
        }
    }

    pub(super) fn format(&self) -> &LineFormat {
        &self.0.format
    }

    pub(super) fn write(&self, head: &mut LineHead, outcome: Outcome) {
        let LogState { format, writer } = &*self.0;
        writer.add(|lines| format.line(lines, head, outcome));
        head.forget_long();
    }
}

impl Drop for LogState {
    fn drop(&mut self) {
        if !self.writer.close_within(LAST_WRITE) {
            tracing::warn!("the last lines of the access log could not be written in time");
        }
    }
}

/// The client, as a line names it.
fn remote(connection: &ConnectInfo) -> String {
    let client = connection.client();
    client.map_or_else(|| "unix".into(), |client| client.ip.to_string())
}

/// The log for the requests of one connection.
#[derive(Debug)]
pub(crate) struct Client {
    log: Log,
    remote: String,
}

impl Client {
    /// Begins the record of a request. `used` is a record of this client whose line is written, to be used again.
    /// `forwarded` is what a trusted proxy says of the request.
    pub(crate) fn request<B>(
        &self,
        request: &Request<B>,
        forwarded: Option<&ConnectInfo>,
        used: Option<Box<Record>>,
    ) -> Box<Record> {
        let Some(forwarded) = forwarded else {
            return self.record(Some(request.into()), used);
        };
        let mut record = used.unwrap_or_else(|| Box::new(Record::new(&self.log)));
        // The next request on the connection may be another client's.
        record.head.forget_client();
        record.begin(&remote(forwarded), Some(request.into()));
        record.head.forget_client();
        record
    }

    /// Prepares the line for the end of the connection, if the request leads to an upgrade.
    pub(crate) fn upgrade<B>(&self, request: &Request<B>) -> UpgradeLine {
        let mut head = LineHead::default();
        let connection = request.extensions().get::<ConnectInfo>();
        let forwarded = connection.filter(|connection| connection.forwarded().is_some());
        let request = LoggedRequest::from(request).upgraded();
        let remote = forwarded.map_or_else(|| Cow::from(&self.remote), |it| remote(it).into());
        self.log.format().head(&mut head, &remote, Some(request));
        UpgradeLine {
            log: self.log.clone(),
            head,
            began: Instant::now(),
        }
    }

    /// Begins the record of a request that could not be parsed, from what the client has sent.
    pub(crate) fn refused_request(&self, sent: &[u8]) -> Box<Record> {
        self.record(LoggedRequest::of_sent(sent), None)
    }

    fn record(&self, request: Option<LoggedRequest<'_>>, used: Option<Box<Record>>) -> Box<Record> {
        let mut record = used.unwrap_or_else(|| Box::new(Record::new(&self.log)));
        record.begin(&self.remote, request);
        record
    }

    /// Logs the refusal of an unknown request by a response without a body.
    pub(crate) fn refused(&self, status: StatusCode) {
        let mut record = self.record(None, None);
        record.set_response(status, Some(0), 0);
        record.sent();
    }
}

/// The line for the end of an upgraded connection.
#[derive(Debug)]
pub(crate) struct UpgradeLine {
    log: Log,
    head: LineHead,
    began: Instant,
}

impl UpgradeLine {
    /// Writes the line, with the bytes that the service has sent, and those that it has received.
    pub(crate) fn write(mut self, sent: u64, received: u64, aborted: bool) {
        let outcome = Outcome {
            status: Some(StatusCode::SWITCHING_PROTOCOLS),
            bytes: sent,
            received: Some(received),
            duration: self.began.elapsed(),
            aborted,
        };
        self.log.write(&mut self.head, outcome);
    }
}

/// What is known of a request until its line is written, at the latest when this is dropped.
///
/// Unless the response was [sent](Self::sent), the line says that it was aborted. After the line, the next request of
/// the same client can use the record again.
#[derive(Debug)]
pub(crate) struct Record {
    log: Log,
    head: LineHead,
    /// If the line has the duration.
    began: Option<Instant>,
    /// As the response to HEAD is.
    bodiless: bool,
    response: Option<RecordedResponse>,
    /// The bytes of the body that were given to hyper.
    bytes: u64,
    /// The body has ended.
    ended: bool,
    /// The line was written, or there is no request yet.
    is_logged: bool,
}

#[derive(Debug)]
struct RecordedResponse {
    status: StatusCode,
    /// The length of the body, if it is known before its end.
    length: Option<u64>,
    /// The bytes that the connection had written before.
    written_before: u64,
}

impl Record {
    pub(super) fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            head: LineHead::default(),
            began: None,
            bodiless: false,
            response: None,
            bytes: 0,
            ended: false,
            is_logged: true,
        }
    }

    /// Begins with a new request, which is `None` if nothing is known of it.
    pub(super) fn begin(&mut self, remote: &str, request: Option<LoggedRequest<'_>>) {
        let format = self.log.format();
        format.head(&mut self.head, remote, request);
        self.began = format.has_duration().then(Instant::now);
        self.bodiless = request.is_some_and(LoggedRequest::is_head);
        self.response = None;
        self.bytes = 0;
        self.ended = false;
        self.is_logged = false;
    }

    /// Sets the response, with the length of its body if that is known, and the bytes that the connection has written
    /// before it.
    pub(crate) fn set_response(&mut self, status: StatusCode, length: Option<u64>, written: u64) {
        self.bodiless |= matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.response = Some(RecordedResponse {
            status,
            length,
            written_before: written,
        });
    }

    /// More bytes of the body were given to hyper.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The body has ended.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the whole response was given to hyper.
    pub(crate) fn is_whole(&self) -> bool {
        let whole = |response: &RecordedResponse| match response.length {
            _ if self.bodiless => true,
            Some(length) => self.bytes >= length,
            None => self.ended,
        };
        self.response.as_ref().is_some_and(whole)
    }

    /// The whole response was written to the connection.
    pub(crate) fn sent(&mut self) {
        // hyper writes no more than it has announced.
        if let Some(length) = self.response.as_ref().and_then(|it| it.length) {
            self.bytes = self.bytes.min(length);
        }
        self.log(false);
    }

    /// The rest of the response cannot be written to the connection, which has written `written` bytes in all.
    pub(crate) fn cut(&mut self, written: u64) {
        let before = self.response.as_ref().map(|it| it.written_before);
        let own = written.saturating_sub(before.unwrap_or(written));
        self.bytes = self.bytes.min(own);
        self.log(true);
    }

    /// Whether the line was written.
    #[cfg(test)]
    fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Writes the line, once.
    fn log(&mut self, aborted: bool) {
        if std::mem::replace(&mut self.is_logged, true) {
            return;
        }
        let outcome = Outcome {
            status: self.response.as_ref().map(|it| it.status),
            bytes: self.bytes,
            received: None,
            duration: self.began.map_or(Duration::ZERO, |began| began.elapsed()),
            aborted,
        };
        self.log.write(&mut self.head, outcome);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.log(true);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use http::Method;

    use super::*;

    #[test]
    fn the_end_of_an_upgraded_connection_has_the_protocol_and_both_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = Log::start(&AccessLog::new(&path), 0, false).unwrap();
        let client = log.client(&ConnectInfo::unix(None));
        let request = Request::builder().header("upgrade", "web\"socket");
        let request = request.body(()).unwrap();
        client.upgrade(&request).write(5, 7, true);
        // That of a request which leads to no upgrade is not written.
        drop(client.upgrade(&request));
        drop((client, log));
        let text = fs::read_to_string(&path).unwrap();
        let (_, end) = text.split_once(']').unwrap();
        let expected = " \"GET / web\\\"socket\" 101 5 \"-\" \"-\" received=7 duration=0.0";
        assert!(end.starts_with(expected), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_record_that_is_used_again_keeps_nothing_of_the_request_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = Log::start(&AccessLog::new(&path), 0, false).unwrap();
        let client = log.client(&ConnectInfo::unix(None));

        let mut request = Request::new(());
        *request.method_mut() = Method::HEAD;
        let mut record = client.request(&request, None, None);
        record.set_response(StatusCode::NOT_FOUND, Some(7), 0);
        record.add(7);
        record.end();
        assert!(record.is_whole() && !record.is_logged());
        record.sent();
        assert!(record.is_logged());

        let mut record = client.request(&Request::new(()), None, Some(record));
        assert!(!record.is_logged() && !record.is_whole());
        record.set_response(StatusCode::OK, None, 0);
        record.add(3);
        assert!(!record.is_whole());
        record.cut(100);

        // The last one gets no response; those before have their line already.
        drop(client.request(&Request::new(()), None, Some(record)));
        drop((client, log));
        let text = fs::read_to_string(&path).unwrap();
        let outcomes: Vec<_> = text
            .lines()
            .map(|line| line.split('"').nth(2).unwrap().trim())
            .collect();
        assert_eq!(outcomes, ["404 7", "200 3", "499 -"], "{text}");
    }
}
