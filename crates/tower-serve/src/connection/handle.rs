//! The handle of a connection's state, and the guards that count connections and exchanges while they last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::{runtime::Handle, time::Instant};
use tower_server_info::{ClientInput, ConnectInfo};

use super::{
    Load, Shared,
    shared_body::SharedBody,
    state::ConnectionState,
    table::{ConnectionEntry, WaitsFor},
};
use crate::access_log::Record;

/// The state of a connection, for the parts of it that hyper holds: its IO and its exchanges.
///
/// Only the connection's own task locks it, so the lock is never contended. There is one because hyper's parts may move to
/// another thread together with the task.
#[derive(Clone, Debug)]
pub(super) struct ConnectionHandle(Arc<ConnectionCell>);

#[derive(Debug)]
struct ConnectionCell {
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
        Self(Arc::new(ConnectionCell {
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

/// A connection that is open.
#[derive(Debug)]
pub(super) struct ConnectionGuard(ConnectionHandle);

impl ConnectionGuard {
    pub(super) fn begin(shared: &Shared, connection: &ConnectInfo) -> Self {
        let load = &shared.load;
        let first_deadline = Instant::now() + shared.http.header_timeout;
        let handle =
            ConnectionHandle::new(connection.input().clone(), load.clone(), first_deadline);
        load.connection_opened(handle.entry());
        Self(handle)
    }

    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.0
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.entry().set_busy();
        let mut state = self.0.lock();
        if state.requests() == 0 {
            self.0.load().connection_used();
        }
        self.0.load().connection_closed();
        state.set_cut();
    }
}

/// A request that is being served, from its head to the end of its response's body.
#[derive(Debug)]
pub(super) struct ExchangeGuard {
    handle: ConnectionHandle,
    /// For the access log, if there is one.
    record: Option<Box<Record>>,
    kind: ExchangeKind,
    /// The client wants no more of the connection. Only looked at where connections are to close.
    pub(super) client_wants_close: bool,
}

/// Where an exchange takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangeKind {
    Http10,
    Http11,
    /// A stream of HTTP/2.
    Stream,
    /// A stream whose request is an exchange elsewhere.
    Tunnel,
}

impl ExchangeGuard {
    /// `state` is that of the connection.
    pub(super) fn begin(
        handle: &ConnectionHandle,
        state: &mut ConnectionState,
        is_http10: bool,
        body: Option<&Arc<SharedBody>>,
    ) -> Self {
        if state.requests() == 0 {
            handle.load().connection_used();
        }
        state.begin_exchange(is_http10, body);
        handle.load().request_began();
        handle.entry().set_busy();
        Self {
            handle: handle.clone(),
            record: None,
            kind: match is_http10 {
                true => ExchangeKind::Http10,
                false => ExchangeKind::Http11,
            },
            client_wants_close: false,
        }
    }

    /// The same on a stream of HTTP/2.
    pub(super) fn begin_stream(handle: &ConnectionHandle) -> Self {
        let mut state = handle.lock();
        if state.requests() == 0 {
            handle.load().connection_used();
        }
        state.begin_stream();
        drop(state);
        handle.load().request_began();
        handle.entry().set_busy();
        Self {
            handle: handle.clone(),
            record: None,
            kind: ExchangeKind::Stream,
            client_wants_close: false,
        }
    }

    /// A stream that keeps its connection busy. Its request is counted and logged by another connection.
    pub(super) fn begin_tunnel(handle: &ConnectionHandle) -> Self {
        let mut state = handle.lock();
        if state.requests() == 0 {
            handle.load().connection_used();
        }
        state.begin_stream();
        drop(state);
        handle.entry().set_busy();
        Self {
            handle: handle.clone(),
            record: None,
            kind: ExchangeKind::Tunnel,
            client_wants_close: false,
        }
    }

    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }

    pub(super) fn is_http10(&self) -> bool {
        self.kind == ExchangeKind::Http10
    }

    /// What is cut when the response cannot be completed.
    pub(super) fn cut_text(&self) -> &'static str {
        match self.kind {
            ExchangeKind::Http10 | ExchangeKind::Http11 => "the connection is cut",
            ExchangeKind::Stream | ExchangeKind::Tunnel => "the stream is reset",
        }
    }

    pub(super) fn set_record(&mut self, record: Box<Record>) {
        self.record = Some(record);
    }

    pub(super) fn record(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// The service did not respond in time, and is dropped.
    pub(super) fn set_timed_out(&self) {
        self.handle.load().request_given_up();
    }

    /// Whether a response with this status makes the connection leave HTTP.
    pub(super) fn switches_protocols(&self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS && self.handle.lock().is_upgrading()
    }

    /// Whether its response, which is about to be sent, is the last of the connection. `ends_with_connection`: nothing
    /// else tells the client where the response ends.
    pub(super) fn is_last(&self, ends_with_connection: bool) -> bool {
        let mut state = self.handle.lock();
        if ends_with_connection {
            state.set_closing();
        }
        state.is_closing()
    }

    /// Whether the worker has more connections than it is to have.
    pub(super) fn has_surplus(&self) -> bool {
        self.handle.load().has_surplus()
    }

    /// Whether the worker has more connections than it is to have, and this one, which would stay open otherwise, closes after
    /// its response.
    pub(super) fn take_surplus(&self) -> bool {
        let goes_on = !self.is_http10() && !self.client_wants_close;
        let load = self.handle.load();
        let is_surplus = goes_on
            && match self.kind {
                ExchangeKind::Http10 | ExchangeKind::Http11 => load.take_surplus(),
                ExchangeKind::Stream | ExchangeKind::Tunnel => {
                    load.take_surplus_of(self.handle.lock().exchanges())
                }
            };
        if is_surplus {
            self.handle.lock().set_shedding();
        }
        is_surplus
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        let record = self.record.take();
        match self.kind {
            ExchangeKind::Http10 | ExchangeKind::Http11 => self.handle.lock().end_exchange(record),
            ExchangeKind::Stream => self.handle.lock().end_stream(record),
            ExchangeKind::Tunnel => return self.handle.lock().end_stream(record),
        }
        self.handle.load().request_ended();
    }
}
