//! The state of one connection: what its socket, its exchanges and their bodies have come to.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use http::{Method, Uri};
use tokio::{runtime::Handle, time::Instant};
use tower_server_info::ClientInput;

use super::{
    Load,
    deadlines::Timer,
    received::Received,
    shared_body::{AfterBody, BodyState, SharedBody},
    table::{ConnectionEntry, WaitsFor},
};
use crate::access_log::Record;

/// The numbers of connections of a worker with which writes are coalesced. One that is alone has nothing to wait for,
/// and with many, what one keeps has left the processor's caches by its next turn.
const COALESCED: RangeInclusive<usize> = 2..=256;

/// The state of a connection, for the parts of it that hyper holds: its IO and its exchanges.
///
/// Only the connection's own task locks it, so nobody ever waits. It has a lock because hyper's parts may move to
/// another thread together with the task.
#[derive(Clone, Debug)]
pub(super) struct ConnectionHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    load: Load,
    input: ClientInput,
    runtime: Handle,
    entry: Arc<ConnectionEntry>,
    state: Mutex<ConnectionState>,
}

impl ConnectionHandle {
    /// A new connection, of which `input` says whether the client can still send something.
    pub(super) fn new(input: ClientInput, load: Load, first_deadline: Instant) -> Self {
        let entry = Arc::new(ConnectionEntry::new(load.millis(Instant::now())));
        Self(Arc::new(Inner {
            load,
            input,
            runtime: Handle::current(),
            entry,
            state: Mutex::new(ConnectionState::new(first_deadline)),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load(&self) -> &Load {
        &self.0.load
    }

    /// Whether the client can still send something.
    pub(super) fn input(&self) -> &ClientInput {
        &self.0.input
    }

    /// The event loop that the connection runs on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(super) fn entry(&self) -> &Arc<ConnectionEntry> {
        &self.0.entry
    }

    /// From now on the connection waits for its client.
    pub(super) fn set_waiting(&self, waits_for: WaitsFor) {
        let now = self.load().millis(Instant::now());
        self.entry().set_waiting(waits_for, now);
    }
}

/// What a connection has come to. Its methods are the transitions.
#[derive(Debug)]
pub(super) struct ConnectionState {
    /// Requests that were received, those that were refused among them.
    requests: u64,
    /// Bytes read, without those of empty lines between two requests.
    read: u64,
    written: u64,
    output: Output,
    /// The socket does not take what there is to write.
    is_write_blocked: bool,
    coalescing: WriteCoalescing,
    /// Exchanges of which hyper has not the whole response. There are two when it reads a request while it keeps the body
    /// of the response before.
    exchanges: usize,
    /// Of the last request, if it has one.
    body: Option<Arc<SharedBody>>,
    /// Of requests before it, while somebody still reads them.
    earlier_bodies: Vec<Arc<SharedBody>>,
    /// The last request came with HTTP/1.0.
    is_http10: bool,
    keep_alive: KeepAlive,
    received: Received,
    last_record: LastRecord,
    /// Of all deadlines: those of the connection, and that of the response.
    pub(super) timer: Timer,
}

/// What hyper has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// Nothing. If it writes now, it refuses a request that it could not parse.
    Nothing,
    /// A response, or the rest of one.
    Response,
    /// It has refused a request. What it wrote, which has no body, was discarded.
    Refusal,
}

/// What to do with bytes that hyper writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStep {
    Write,
    /// Not in this turn.
    Defer,
    /// Never: the connection writes a response of its own.
    Discard,
}

/// What has happened since the event loop has come to this connection. A response to what was read in this turn is written
/// in the next one, when the event loop has read what other clients have sent. It is deferred once: while a client sends
/// without a pause, each turn begins with a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteCoalescing {
    NothingRead,
    Read,
    /// Something is to be written in the next turn.
    Deferred,
    /// Something is to be written in this turn, whatever else is read.
    Due,
}

impl WriteCoalescing {
    fn read(&mut self) {
        if *self == Self::NothingRead {
            *self = Self::Read;
        }
    }

    /// Defers a write, if it comes after a read.
    fn defer_write(&mut self) -> bool {
        let defers = matches!(self, Self::Read | Self::Deferred);
        if defers {
            *self = Self::Deferred;
        }
        defers
    }

    /// Returns whether a write was deferred.
    fn end_turn(&mut self) -> bool {
        let was_deferred = *self == Self::Deferred;
        *self = if was_deferred {
            Self::Due
        } else {
            Self::NothingRead
        };
        was_deferred
    }
}

/// Whether the connection goes on after the response that is being made, or else after the next one. It only ever gets
/// worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeepAlive {
    GoesOn,
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
    fn new(first_deadline: Instant) -> Self {
        Self {
            requests: 0,
            read: 0,
            written: 0,
            output: Output::Nothing,
            is_write_blocked: false,
            coalescing: WriteCoalescing::NothingRead,
            exchanges: 0,
            body: None,
            earlier_bodies: Vec::new(),
            is_http10: false,
            keep_alive: KeepAlive::GoesOn,
            received: Received::default(),
            last_record: LastRecord::None,
            timer: Timer::new(first_deadline),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    // ===== what the client sends =====

    /// Something else than empty lines was read from the socket.
    pub(super) fn add_read(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        self.coalescing.read();
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
        match std::mem::replace(&mut self.last_record, LastRecord::None) {
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
        self.output = Output::Response;
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
            record.cut(self.written);
            return;
        }
        // When there is a next one already, the one before counts as sent: only small ones wait behind each other.
        let before = std::mem::replace(&mut self.last_record, LastRecord::Unsent(record));
        if let LastRecord::Unsent(mut before) = before {
            before.sent();
        }
    }

    /// What has become of the last request's body.
    pub(super) fn body_state(&self) -> BodyState {
        let body = self.body.as_ref();
        body.map_or(BodyState::Complete, |body| body.state())
    }

    /// Whether a request is being answered of which the client has nothing more to send. Otherwise `waker` is woken at the
    /// end of its body, if there is one.
    pub(super) fn poll_request_whole(&self, waker: &Waker) -> bool {
        let is_whole = |body: &Arc<SharedBody>| body.poll_whole(waker);
        self.exchanges != 0 && self.body.as_ref().is_none_or(is_whole)
    }

    /// Whether a request is being answered, or its body read. When only the latter is so, `waker` is woken at its end, which
    /// the connection does not notice by itself.
    pub(super) fn is_busy(&mut self, waker: &Waker) -> bool {
        if self.exchanges != 0 {
            return true;
        }
        let mut is_busy = self
            .body
            .as_ref()
            .is_some_and(|body| !body.poll_done(waker));
        if !self.earlier_bodies.is_empty() {
            for body in std::mem::take(&mut self.earlier_bodies) {
                if body.poll_done(waker) {
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

    /// hyper is about to write. A response that is still being made is not deferred: an error would discard what is there
    /// of it. Written together, responses interrupt their receiver (a proxy on this machine, say) once, and written one by
    /// one, each time.
    pub(super) fn begin_write(&mut self, connections: usize) -> WriteStep {
        if self.output != Output::Response {
            self.output = Output::Refusal;
            return WriteStep::Discard;
        }
        let may_defer = self.exchanges == 0 && COALESCED.contains(&connections);
        if may_defer && self.coalescing.defer_write() {
            WriteStep::Defer
        } else {
            WriteStep::Write
        }
    }

    /// The socket has taken bytes.
    pub(super) fn add_written(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.is_write_blocked = false;
    }

    /// The socket takes nothing.
    pub(super) fn set_write_blocked(&mut self) {
        self.is_write_blocked = true;
    }

    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked
    }

    /// All that there was to write was written.
    pub(super) fn set_flushed(&mut self) {
        self.is_write_blocked = false;
        if self.exchanges == 0 && self.output == Output::Response {
            self.output = Output::Nothing;
        }
    }

    /// Whether hyper has refused a request that has yet to be responded to.
    pub(super) fn take_refusal(&mut self) -> bool {
        let is_refusal = self.output == Output::Refusal;
        if is_refusal {
            self.output = Output::Nothing;
        }
        is_refusal
    }

    /// The event loop leaves this connection. Returns whether there is something to write for which it comes again at
    /// once.
    pub(super) fn end_turn(&mut self) -> bool {
        self.coalescing.end_turn()
    }

    /// Whether hyper has bytes that were not written.
    pub(super) fn has_unwritten(&self) -> bool {
        self.is_write_blocked || self.coalescing == WriteCoalescing::Deferred
    }

    /// Whether the client waits for the rest of a response.
    pub(super) fn has_more_to_write(&self) -> bool {
        let is_deferred = matches!(
            self.coalescing,
            WriteCoalescing::Deferred | WriteCoalescing::Due
        );
        self.is_write_blocked || is_deferred || self.exchanges != 0
    }

    /// Everything that hyper had was written to the socket.
    pub(super) fn set_sent(&mut self) {
        if let LastRecord::Unsent(record) = &mut self.last_record {
            record.sent();
            let record = std::mem::replace(&mut self.last_record, LastRecord::None);
            if let LastRecord::Unsent(record) = record {
                self.last_record = LastRecord::Sent(record);
            }
        }
    }

    /// The connection has ended: what is not written will not be.
    pub(super) fn set_cut(&mut self) {
        if let LastRecord::Unsent(record) = &mut self.last_record {
            record.cut(self.written);
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

    // ===== its end =====

    /// The response that is being made, or else the next one, is the last.
    pub(super) fn set_closing(&mut self) {
        self.set_keep_alive(KeepAlive::LastResponse);
    }

    pub(super) fn is_closing(&self) -> bool {
        let closes = |body: &Arc<SharedBody>| body.after() == Some(AfterBody::Close);
        self.keep_alive > KeepAlive::GoesOn
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

    /// After one response, the next request was read.
    fn with_response() -> ConnectionState {
        let mut state = ConnectionState::new(Instant::now());
        state.add_read(b"GET");
        state.begin_exchange(false, None);
        state.end_exchange(None);
        state
    }

    #[tokio::test]
    async fn what_is_written_is_put_off_among_some_connections_and_not_alone_or_among_many() {
        let many = *COALESCED.end();
        for (connections, postpones) in [(1, false), (2, true), (many, true), (many + 1, false)] {
            let step = with_response().begin_write(connections);
            assert_eq!(step == WriteStep::Defer, postpones, "{connections}");
        }
    }

    #[tokio::test]
    async fn what_answers_a_read_is_written_in_the_next_turn_and_not_later() {
        let mut state = with_response();
        assert!(!state.end_turn());
        assert_eq!(state.begin_write(2), WriteStep::Write, "nothing was read");
        state.add_read(b"GET");
        assert_eq!(state.begin_write(2), WriteStep::Defer);
        assert_eq!(state.begin_write(2), WriteStep::Defer);
        assert!(state.end_turn() && state.has_more_to_write());
        state.add_read(b"GET");
        assert_eq!(state.begin_write(2), WriteStep::Write);
        assert!(!state.end_turn() && !state.has_more_to_write());
        state.add_read(b"GET");
        assert_eq!(state.begin_write(2), WriteStep::Defer);
    }

    #[tokio::test]
    async fn what_hyper_writes_without_a_response_is_a_refusal() {
        let mut state = with_response();
        assert_eq!(state.begin_write(1), WriteStep::Write);
        state.add_written(10);
        state.set_flushed();
        assert!(!state.take_refusal());
        assert_eq!(state.begin_write(1), WriteStep::Discard);
        assert!(state.take_refusal() && !state.take_refusal());
    }

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
