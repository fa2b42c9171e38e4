use std::time::{Duration, Instant};

use http::StatusCode;

use super::{
    Log,
    line::{Asked, Head, Outcome},
};

/// A request on its way to a line of the log, which is made when this is dropped.
///
/// Unless it was [sent](Self::sent), the line says that the response broke off.
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
    sent: bool,
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
    pub(super) fn new(log: &Log, remote: &str, asked: Option<Asked<'_>>) -> Self {
        let style = log.style();
        Self {
            log: log.clone(),
            head: style.head(remote, asked),
            began: style.has_duration().then(Instant::now),
            bodiless: asked.is_some_and(Asked::is_head),
            answer: None,
            bytes: 0,
            ended: false,
            sent: false,
        }
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
    pub(crate) fn sent(mut self) {
        // hyper writes no more than it has announced.
        if let Some(length) = self.answer.as_ref().and_then(|answer| answer.length) {
            self.bytes = self.bytes.min(length);
        }
        self.sent = true;
    }

    /// The rest of the response cannot be written to the connection, which has written so many bytes
    /// until now.
    pub(crate) fn cut(mut self, written: u64) {
        let before = self.answer.as_ref().map(|answer| answer.written_before);
        let own = written.saturating_sub(before.unwrap_or(written));
        self.bytes = self.bytes.min(own);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let outcome = Outcome {
            status: self.answer.as_ref().map(|answer| answer.status),
            bytes: self.bytes,
            duration: self.began.map_or(Duration::ZERO, |began| began.elapsed()),
            aborted: !self.sent,
        };
        self.log.write(&self.head, outcome);
    }
}
