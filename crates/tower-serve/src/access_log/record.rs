use std::time::{Duration, Instant};

use http::StatusCode;

use super::{
    Log,
    asked::Asked,
    line::{Head, Outcome},
};

/// A request on its way to a line of the log, which is made at the latest when this is dropped.
///
/// Unless it was [sent](Self::sent), the line says that the response broke off. After the line, the next
/// request of the same client can have the record.
#[derive(Debug)]
pub(crate) struct Record {
    log: Log,
    head: Head,
    /// Unless no line tells how long it took.
    began: Option<Instant>,
    /// The answer to HEAD has no body.
    bodiless: bool,
    answer: Option<Answer>,
    /// Of the body, what was given to hyper.
    bytes: u64,
    /// The body has ended.
    ended: bool,
    /// The line was made, or there is no request yet.
    is_logged: bool,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    /// Of the body, when it is known before its end.
    length: Option<u64>,
    /// What the connection had written before.
    written_before: u64,
}

impl Record {
    pub(super) fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            head: Head::default(),
            began: None,
            bodiless: false,
            answer: None,
            bytes: 0,
            ended: false,
            is_logged: true,
        }
    }

    /// A request has come; `asked` is `None` when nothing is known of it.
    pub(super) fn begin(&mut self, remote: &str, asked: Option<Asked<'_>>) {
        let style = self.log.style();
        style.head(&mut self.head, remote, asked);
        self.began = style.has_duration().then(Instant::now);
        self.bodiless = asked.is_some_and(Asked::is_head);
        self.answer = None;
        self.bytes = 0;
        self.ended = false;
        self.is_logged = false;
    }

    /// There is an answer, with a body of this length, if that is known. The connection has written
    /// so many bytes until now.
    pub(crate) fn answer(&mut self, status: StatusCode, length: Option<u64>, written: u64) {
        self.bodiless |= matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.answer = Some(Answer {
            status,
            length,
            written_before: written,
        });
    }

    /// More of the body was given to hyper.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The body has ended.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether hyper has got all of the response.
    pub(crate) fn is_whole(&self) -> bool {
        let whole = |answer: &Answer| match answer.length {
            _ if self.bodiless => true,
            Some(length) => self.bytes >= length,
            None => self.ended,
        };
        self.answer.as_ref().is_some_and(whole)
    }

    /// All of the response was written to the connection.
    pub(crate) fn sent(&mut self) {
        // hyper writes no more than it has announced.
        if let Some(length) = self.answer.as_ref().and_then(|answer| answer.length) {
            self.bytes = self.bytes.min(length);
        }
        self.log(false);
    }

    /// The rest of the response cannot be written to the connection, which has written so many bytes
    /// until now.
    pub(crate) fn cut(&mut self, written: u64) {
        let before = self.answer.as_ref().map(|answer| answer.written_before);
        let own = written.saturating_sub(before.unwrap_or(written));
        self.bytes = self.bytes.min(own);
        self.log(true);
    }

    /// Whether the line was made.
    #[cfg(test)]
    fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Makes the line, once.
    fn log(&mut self, aborted: bool) {
        if std::mem::replace(&mut self.is_logged, true) {
            return;
        }
        let outcome = Outcome {
            status: self.answer.as_ref().map(|answer| answer.status),
            bytes: self.bytes,
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

    use http::{Method, Request};
    use tower_server_info::ConnectInfo;

    use super::*;
    use crate::AccessLog;

    #[test]
    fn a_record_that_is_used_again_keeps_nothing_of_the_request_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = Log::start(&AccessLog::new(&path), 0).unwrap();
        let client = log.client(&ConnectInfo::unix(None));

        let mut request = Request::new(());
        *request.method_mut() = Method::HEAD;
        let mut record = client.request(&request, None);
        record.answer(StatusCode::NOT_FOUND, Some(7), 0);
        record.add(7);
        record.end();
        assert!(record.is_whole() && !record.is_logged());
        record.sent();
        assert!(record.is_logged());

        let mut record = client.request(&Request::new(()), Some(record));
        assert!(!record.is_logged() && !record.is_whole());
        record.answer(StatusCode::OK, None, 0);
        record.add(3);
        assert!(!record.is_whole());
        record.cut(100);

        // The last one gets no answer; those before have their line already.
        drop(client.request(&Request::new(()), Some(record)));
        drop((client, log));
        let text = fs::read_to_string(&path).unwrap();
        let outcomes: Vec<_> = text
            .lines()
            .map(|line| line.split('"').nth(2).unwrap().trim())
            .collect();
        assert_eq!(outcomes, ["404 7", "200 3", "499 -"], "{text}");
    }
}
