use std::{io, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use tower_server_info::ConnectInfo;

use super::{
    AccessLog, Record,
    asked::Asked,
    line::{Head, Outcome, Style},
};
use crate::log_writer::{LineWriter, Output, Target};

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(200);

/// How long the end of a process waits for the file.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// The access log of a worker. Clones are the same log; when the last is dropped, what was logged is
/// written.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    style: Style,
    writer: LineWriter,
}

impl Log {
    /// Starts the thread that writes.
    pub(crate) fn start(setting: &AccessLog, slot: usize) -> io::Result<Self> {
        let output = Output::new(Target::access_log(&setting.path));
        let style = Style::new(setting.format, output.is_regular(), slot);
        let writer = LineWriter::start(output, GATHER)?;
        Ok(Self(Arc::new(Inner { style, writer })))
    }

    /// The log, for the requests of one connection.
    pub(crate) fn client(&self, connection: &ConnectInfo) -> Client {
        let remote = connection.peer().map(|peer| peer.ip().to_string());
        Client {
            log: self.clone(),
            remote: remote.unwrap_or_else(|| "unix".into()),
        }
    }

    pub(super) fn style(&self) -> &Style {
        &self.0.style
    }

    pub(super) fn write(&self, head: &mut Head, outcome: Outcome) {
        let Inner { style, writer } = &*self.0;
        writer.add(|lines| style.line(lines, head, outcome));
        head.forget_long();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.writer.close_within(LAST_WRITE) {
            tracing::warn!("the file of the access log does not take the last lines");
        }
    }
}

/// Whose requests are logged.
#[derive(Debug)]
pub(crate) struct Client {
    log: Log,
    remote: String,
}

impl Client {
    /// A request has come. `used` is a record of the same client, after its line.
    pub(crate) fn request<B>(
        &self,
        request: &Request<B>,
        used: Option<Box<Record>>,
    ) -> Box<Record> {
        self.record(Some(request.into()), used)
    }

    /// A request that was refused, of which this was sent.
    pub(crate) fn refused_request(&self, sent: &[u8]) -> Box<Record> {
        self.record(Asked::of_sent(sent), None)
    }

    fn record(&self, asked: Option<Asked<'_>>, used: Option<Box<Record>>) -> Box<Record> {
        let mut record = used.unwrap_or_else(|| Box::new(Record::new(&self.log)));
        record.begin(&self.remote, asked);
        record
    }

    /// A request that is not known was refused, with an answer that has no body.
    pub(crate) fn refused(&self, status: StatusCode) {
        let mut record = self.record(None, None);
        record.answer(status, Some(0), 0);
        record.sent();
    }
}
