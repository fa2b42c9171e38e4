//! The state of one connection: what its socket, its exchanges and their bodies have come to.

use std::{any::Any, mem, sync::Arc, task::Waker};

use http::{Method, Uri};
use tokio::time::Instant;

use super::{
    deadlines::Timer,
    output::{Output, WriteStep},
    received::Received,
    shared_body::{AfterBody, BodyState, SharedBody},
    upgrade::Upgrade,
};
use crate::access_log::Record;

/// What a connection has come to. Its methods are the transitions.
#[derive(Debug)]
pub(super) struct ConnectionState {
    /// Requests that were received, those that were refused among them.
    requests: u64,
    /// Bytes read, without those of empty lines between two requests.
    read: u64,
    pub(super) output: Output,
    /// Exchanges of which hyper has not the whole response. There are two when it reads a request while it keeps the body
    /// of the response before.
    exchanges: usize,
    /// Of the last request, if it has one.
    body: Option<Arc<SharedBody>>,
    /// Of requests before it, while their reader is not done.
    earlier_bodies: Vec<Arc<SharedBody>>,
    /// The last request came with HTTP/1.0.
    is_http10: bool,
    keep_alive: KeepAlive,
    received: Received,
    last_record: LastRecord,
    /// Once the service has responded with 101 to a request that may be upgraded.
    upgrade: Option<Box<Upgrade>>,
    /// Of all deadlines: those of the connection, and that of the response.
    pub(super) timer: Timer,
}

/// Whether the connection stays open after the response that is being made, or else after the next one. It only ever
/// gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeepAlive {
    Open,
    /// That response is the last.
    LastResponse,
    /// So it is, for the worker to have fewer connections. The client has learned it from the response, and may have sent
    /// its next request before.
    Shedding,
    /// So it is, and nothing that follows may be taken for a request: it is in doubt where the last one ends.
    FramingUnknown,
    /// The client must not take what it has of the response for the whole: the connection is reset.
    ResetOnClose,
}

/// The record, for the access log, of the last response that hyper has all of.
#[derive(Debug)]
enum LastRecord {
    None,
    /// Something of the response may not be written yet.
    Unsent(Box<Record>),
    /// Its line was made. The next request of the client can have it.
    Sent(Box<Record>),
}

impl ConnectionState {
    pub(super) fn new(first_deadline: Instant) -> Self {
        Self {
            requests: 0,
            read: 0,
            output: Output::new(),
            exchanges: 0,
            body: None,
            earlier_bodies: Vec::new(),
            is_http10: false,
            keep_alive: KeepAlive::Open,
            received: Received::default(),
            last_record: LastRecord::None,
            upgrade: None,
            timer: Timer::new(first_deadline),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// The exchanges that have not ended.
    pub(super) fn exchanges(&self) -> usize {
        self.exchanges
    }

    pub(super) fn read(&self) -> u64 {
        self.read
    }

    // ===== what the client sends =====

    /// Something else than empty lines was read from the socket.
    pub(super) fn add_read(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        self.output.set_read();
        self.received.add(bytes, self.requests);
        if let Some(body) = &self.body
            && body.is_chunked()
        {
            body.add_chunk_lines(bytes);
        }
    }

    /// The beginning of what was sent since the last request, as far as it is kept.
    pub(super) fn take_received(&mut self) -> Vec<u8> {
        self.received.take()
    }

    // ===== an exchange =====

    /// A record that can be used again: that of a response that was sent.
    pub(super) fn take_record(&mut self) -> Option<Box<Record>> {
        match mem::replace(&mut self.last_record, LastRecord::None) {
            LastRecord::Sent(record) => Some(record),
            other => {
                self.last_record = other;
                None
            }
        }
    }

    /// A request has come.
    pub(super) fn begin_exchange(&mut self, is_http10: bool, body: Option<&Arc<SharedBody>>) {
        self.requests += 1;
        self.exchanges += 1;
        self.output.begin_response();
        self.is_http10 = is_http10;
        self.release_body();
        if let Some(body) = body {
            if body.is_chunked()
                && let Some(begin) = self.received.body_of(self.requests)
            {
                body.begin_chunk_lines(begin);
            }
            self.body = Some(body.clone());
        }
    }

    /// A request has come on a stream of HTTP/2.
    pub(super) fn begin_stream(&mut self) {
        self.requests += 1;
        self.exchanges += 1;
    }

    /// Whether the target of the request that has just come was sent with a fragment.
    pub(super) fn has_fragment(&self, method: &Method, target: &Uri) -> bool {
        self.received.has_fragment(self.requests, method, target)
    }

    /// hyper has the whole response of an exchange, or will not have it.
    pub(super) fn end_exchange(&mut self, record: Option<Box<Record>>) {
        self.exchanges -= 1;
        let Some(mut record) = record else {
            return;
        };
        if !record.is_whole() {
            record.cut(self.output.written());
            return;
        }
        // When there is a next one already, the one before counts as sent: only small ones wait behind each other.
        let before = mem::replace(&mut self.last_record, LastRecord::Unsent(record));
        if let LastRecord::Unsent(mut before) = before {
            before.sent();
        }
    }

    /// The same, on a stream of HTTP/2. What hyper has of a response counts as sent: other streams are written meanwhile.
    pub(super) fn end_stream(&mut self, record: Option<Box<Record>>) {
        self.exchanges -= 1;
        match record {
            Some(mut record) if record.is_whole() => record.sent(),
            Some(mut record) => record.cut(self.output.written()),
            None => {}
        }
    }

    /// What has become of the last request's body.
    pub(super) fn body_state(&self) -> BodyState {
        let body = self.body.as_ref();
        body.map_or(BodyState::Complete, |body| body.state())
    }

    /// Whether a request is being served of which the client has nothing more to send. Otherwise `waker` is woken at the
    /// end of its body, if there is one.
    pub(super) fn poll_request_whole(&self, waker: &Waker) -> bool {
        let is_whole = |body: &Arc<SharedBody>| body.poll_whole(waker);
        self.exchanges != 0 && self.body.as_ref().is_none_or(is_whole)
    }

    /// Whether a request is being served, or its body read. When only the latter is so, `waker` is woken at its end, which
    /// the connection does not notice by itself.
    pub(super) fn is_busy(&mut self, waker: &Waker) -> bool {
        if self.exchanges != 0 {
            return true;
        }
        let mut is_busy = false;
        match self.body.as_ref().map(|body| body.poll_done(waker)) {
            Some(None) => is_busy = true,
            // Nothing is to be remembered of it.
            Some(Some((BodyState::Complete, AfterBody::NextRequest))) => self.body = None,
            Some(Some(_)) | None => {}
        }
        if !self.earlier_bodies.is_empty() {
            for body in mem::take(&mut self.earlier_bodies) {
                if body.poll_done(waker).is_some() {
                    self.settle(&body);
                } else {
                    is_busy = true;
                    self.earlier_bodies.push(body);
                }
            }
        }
        is_busy
    }

    /// The last request's body is one of an earlier request now.
    fn release_body(&mut self) {
        let Some(body) = self.body.take() else {
            return;
        };
        if body.after().is_some() {
            self.settle(&body);
        } else {
            self.earlier_bodies.push(body);
        }
    }

    /// Remembers of a body, whose reader is done, what may follow it.
    fn settle(&mut self, body: &SharedBody) {
        if body.is_framing_unknown() {
            self.set_keep_alive(KeepAlive::FramingUnknown);
        } else if body.after() == Some(AfterBody::Close) {
            self.set_keep_alive(KeepAlive::LastResponse);
        }
    }

    // ===== what is written =====

    /// hyper is about to write.
    pub(super) fn begin_write(&mut self, connections: usize) -> WriteStep {
        if self.upgrade.is_some() {
            return WriteStep::Upgrade;
        }
        self.output.begin_write(self.exchanges == 0, connections)
    }

    /// The connection speaks HTTP/2: nothing that was read is a part of a request of HTTP/1.1.
    pub(super) fn begin_frames(&mut self) {
        self.read = 0;
        self.received = Received::default();
    }

    /// All that hyper had was written.
    pub(super) fn set_flushed(&mut self) {
        self.output.set_flushed(self.exchanges == 0);
    }

    /// Whether the client waits for the rest of a response.
    pub(super) fn has_more_to_write(&self) -> bool {
        self.output.is_pending() || self.exchanges != 0
    }

    /// Everything that hyper had was written to the socket.
    pub(super) fn set_sent(&mut self) {
        if let LastRecord::Unsent(record) = &mut self.last_record {
            record.sent();
            let record = mem::replace(&mut self.last_record, LastRecord::None);
            if let LastRecord::Unsent(record) = record {
                self.last_record = LastRecord::Sent(record);
            }
        }
    }

    /// The connection has ended: what is not written will not be.
    pub(super) fn set_cut(&mut self) {
        if let LastRecord::Unsent(record) = &mut self.last_record {
            record.cut(self.output.written());
        }
    }

    /// The connection is idle: releases what only an exchange needs.
    pub(super) fn set_idle(&mut self) {
        self.release_body();
        self.received = Received::default();
        if matches!(self.last_record, LastRecord::Sent(_)) {
            self.last_record = LastRecord::None;
        }
    }

    // ===== an upgrade =====

    /// The service has responded with 101, which hyper is about to get.
    pub(super) fn begin_upgrade(&mut self, upgrade: Upgrade) {
        self.upgrade = Some(Box::new(upgrade));
    }

    /// Whether the response that is being made is a 101 to a request that may be upgraded.
    pub(super) fn is_upgrading(&self) -> bool {
        self.upgrade.is_some()
    }

    /// hyper is prepared for that response.
    pub(super) fn set_upgrade_prepared(&mut self) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.is_prepared = true;
        }
    }

    pub(super) fn is_upgrade_prepared(&self) -> bool {
        let upgrade = self.upgrade.as_ref();
        upgrade.is_some_and(|upgrade| upgrade.is_prepared)
    }

    /// hyper writes the head of that response to `socket`, which takes all of it. Whether the protocol is WebSocket.
    pub(super) fn set_upgraded(&mut self, socket: Arc<dyn Any + Send + Sync>) -> bool {
        self.output.end();
        let upgrade = self.upgrade.as_mut();
        upgrade.is_some_and(|upgrade| upgrade.set_socket(socket))
    }

    /// The number of bytes that were read behind the request, as far as it is known.
    pub(super) fn read_ahead(&self) -> usize {
        self.received.body_of(self.requests).map_or(0, <[u8]>::len)
    }

    /// hyper has given the connection to the service.
    pub(super) fn take_upgrade(&mut self) -> Option<Upgrade> {
        self.set_idle();
        self.upgrade.take().map(|upgrade| *upgrade)
    }

    // ===== its end =====

    /// The response that is being made, or else the next one, is the last.
    pub(super) fn set_closing(&mut self) {
        self.set_keep_alive(KeepAlive::LastResponse);
    }

    pub(super) fn is_closing(&self) -> bool {
        let closes = |body: &Arc<SharedBody>| body.after() == Some(AfterBody::Close);
        self.keep_alive > KeepAlive::Open
            || self.body.as_ref().is_some_and(closes)
            || self.earlier_bodies.iter().any(closes)
    }

    /// The response that is being made is the last, for the worker to have fewer connections.
    pub(super) fn set_shedding(&mut self) {
        self.set_keep_alive(KeepAlive::Shedding);
    }

    pub(super) fn is_shedding(&self) -> bool {
        self.keep_alive == KeepAlive::Shedding
    }

    /// Whether nothing that follows may be taken for a request.
    pub(super) fn is_framing_unknown(&self) -> bool {
        let is_unknown = |body: &Arc<SharedBody>| body.is_framing_unknown();
        self.keep_alive >= KeepAlive::FramingUnknown
            || self.body.as_ref().is_some_and(is_unknown)
            || self.earlier_bodies.iter().any(is_unknown)
    }

    /// The client must not take what it has of the response for the whole.
    pub(super) fn reset_on_close(&mut self) {
        self.set_keep_alive(KeepAlive::ResetOnClose);
    }

    /// The response cannot be completed. Without a reset, a client of HTTP/1.0 would take it for whole; others see that
    /// its end is missing, and a reset could destroy what they already have.
    pub(super) fn set_response_failed(&mut self) {
        if self.is_http10 {
            self.reset_on_close();
        }
    }

    pub(super) fn is_reset_on_close(&self) -> bool {
        self.keep_alive == KeepAlive::ResetOnClose
    }

    fn set_keep_alive(&mut self, keep_alive: KeepAlive) {
        self.keep_alive = self.keep_alive.max(keep_alive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_to_close_stays_so() {
        let mut state = ConnectionState::new(Instant::now());
        assert!(!state.is_closing());
        state.set_shedding();
        state.set_closing();
        assert!(state.is_closing() && state.is_shedding() && !state.is_framing_unknown());
        state.begin_exchange(false, None);
        state.set_response_failed();
        assert!(!state.is_reset_on_close());
        state.begin_exchange(true, None);
        state.set_response_failed();
        assert!(state.is_reset_on_close() && state.is_closing());
    }
}
