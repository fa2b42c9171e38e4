//! Drives a connection: hyper while there are requests, the deadlines always.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::unconstrained,
};

use super::{
    ConnectInfo, Shared,
    close::{Closing, End, close},
    deadlines::{DeadlineEvent, Deadlines, TimeoutKind},
    events::ConnectionEvents,
    exchange::ExchangeService,
    handle::ConnectionGuard,
    http2::Http2Connection,
    io::{Io, is_blank},
    protocol::{Parts, Protocol},
    refusal::Refusal,
    shared::{DrainCheck, drained},
    shared_body::BodyState,
    table::WaitsFor,
    upgrade::UpgradedConnection,
};
use crate::{HttpService, HttpVersions, error::error_text};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What hyper has to have of it at least to know that it is no request of HTTP/1.1.
const PREFACE_LINE: &[u8] = b"PRI * HTTP/2";

/// Serves one connection until it has ended, and never panics.
///
/// When `drain` is set, an idle connection closes after that time, a busy one closes after its response, and
/// a new one has a moment to send its first request, which is served.
pub(crate) fn serve<IO, S>(
    io: IO,
    connection: ConnectInfo,
    service: S,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let guard = ConnectionGuard::begin(&shared, &connection);
    let begin = Begin::cleartext(shared.http.versions);
    serve_open(io, connection, service, shared, guard, begin)
}

/// How a connection begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// With HTTP/1.1, or with the preface of HTTP/2 where that is allowed.
    Http1,
    /// The same, but every request of HTTP/1.1 is responded to so, and the service is not called.
    Refused(Refusal),
    /// With HTTP/2.
    #[cfg(feature = "tls")]
    Http2,
}

impl Begin {
    /// Without an agreement by ALPN.
    pub(super) fn cleartext(versions: HttpVersions) -> Self {
        match versions.has_http1() {
            true => Self::Http1,
            false => Self::Refused(Refusal::NotHttp2),
        }
    }
}

/// The same for a connection that has been open for a while.
pub(super) fn serve_open<IO, S>(
    io: IO,
    info: ConnectInfo,
    service: S,
    shared: Arc<Shared>,
    guard: ConnectionGuard,
    begin: Begin,
) -> impl Future<Output = ()> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let handle = guard.handle();
    let events = ConnectionEvents::begin(&shared, &info, handle).map(Box::new);
    let io = Io::new(io, handle.clone());
    let refusal = match begin {
        Begin::Refused(refusal) => Some(refusal),
        _ => None,
    };
    let service = ExchangeService::new(service, info, handle.clone(), shared.clone(), refusal);
    let state = match begin {
        #[cfg(feature = "tls")]
        Begin::Http2 => State::Http2(Box::new(Http2Connection::new(io, service, &shared.http))),
        _ => State::Active(Protocol::new(io, service, &shared.http)),
    };
    let mut connection = Connection {
        state,
        deadlines: Deadlines::new(),
        _events: events,
        guard,
        shared,
    };

    // Ten thousands of these may wait, so it is kept small: an asynchronous function would keep its arguments
    // beside what was made of them.
    async move {
        let connection = &mut connection;
        let mut drain = pin!(drained(connection.shared.drain.clone(), None));
        let mut drain_check = DrainCheck::new(connection.shared.drain.clone());

        let closing = loop {
            let end = poll_fn(|cx| {
                // First, so that a request which is about to be read is known to be the last.
                if drain_check.is_due(cx.waker()) {
                    connection.guard.handle().entry().set_waker(cx.waker());
                    // Otherwise it may not have taken the waker.
                    while let Poll::Ready((idle, receiver)) =
                        pin!(unconstrained(drain.as_mut())).poll(cx)
                    {
                        connection.deadlines.drain(idle);
                        connection.guard.handle().lock().set_closing();
                        drain.set(drained(receiver, Some(idle)));
                    }
                }
                connection.poll_end(cx)
            })
            .await;
            if let Some(closing) = connection.advance(end) {
                break closing;
            }
        };
        let handle = connection.guard.handle();
        handle.entry().set_busy();
        let is_draining = connection.deadlines.is_draining();
        // Boxed, as no connection needs the room for it before its end.
        Box::pin(close(closing, handle, is_draining, &connection.shared.http)).await;
    }
}

/// A connection. Its parts are dropped in this order: what hyper holds of a response is accounted for by the others.
struct Connection<IO: 'static, S: HttpService> {
    state: State<IO, S>,
    deadlines: Deadlines,
    _events: Option<Box<ConnectionEvents>>,
    guard: ConnectionGuard,
    shared: Arc<Shared>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "in a box, an idle connection would be an allocation more, and an active one a jump"
)]
enum State<IO: 'static, S: HttpService> {
    /// The client sends requests, or is about to.
    Active(Protocol<IO, S>),
    /// The client has sent nothing for a while. Only its socket is watched: hyper would keep a buffer of 8 KiB for what it
    /// may send.
    Idle {
        io: Io<IO>,
        service: ExchangeService<S>,
    },
    /// The client speaks HTTP/2.
    Http2(Box<Http2Connection<IO, S>>),
    /// hyper has given it to the service.
    Upgraded(Box<UpgradedConnection<IO>>),
    Ended,
}

impl<IO, S> Connection<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    /// Serves requests until the connection ends, or something else is to be decided.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.poll_arrival(cx);
        let handle = self.guard.handle();
        loop {
            let polled = match &mut self.state {
                State::Active(protocol) => protocol.poll_end(handle, cx),
                State::Http2(http2) => {
                    return http2.poll_end(&mut self.deadlines, handle, &self.shared.http, cx);
                }
                State::Upgraded(upgraded) => {
                    let timeout = self.shared.http.upgrade_idle_timeout;
                    let is_draining = self.deadlines.is_draining();
                    let timer = &mut handle.lock().timer;
                    let end = upgraded.poll_end(timeout, is_draining, timer, cx);
                    return end.map(End::Upgraded);
                }
                State::Idle { .. } | State::Ended => Poll::Pending,
            };
            let mut state = handle.lock();
            if state.is_upgrading() && polled.is_pending() && switch(&mut self.state) {
                state.set_upgrade_prepared();
                continue;
            }
            let state = &mut *state;
            if state.output.end_turn() && polled.is_pending() {
                return Poll::Pending;
            }
            if !state.output.is_blocked() && !is_broken(&polled) {
                state.set_sent();
            }
            if let Poll::Ready(end) = polled {
                return Poll::Ready(end);
            }
            self.deadlines.observe(state, handle, cx.waker());
            if handle.entry().take_close_request() && self.deadlines.is_waiting() {
                return Poll::Ready(End::RoomNeeded);
            }
            if self.deadlines.is_idle() && state.is_framing_unknown() {
                return Poll::Ready(End::FramingUnknown);
            }
            let http = &self.shared.http;
            match ready!(self.deadlines.poll_event(http, &mut state.timer, cx)) {
                DeadlineEvent::TimedOut(kind) => return Poll::Ready(End::TimedOut(kind)),
                // `io` does when hyper comes to it.
                DeadlineEvent::CheckClient => {}
            }
        }
    }

    /// An idle connection is active again when the client sends something, or closes its side.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) {
        // An error is an end, too, and the next read gives one.
        if let State::Idle { io, .. } = &mut self.state
            && io.poll_ahead(cx).is_ready()
            && let State::Idle { io, service } = mem::replace(&mut self.state, State::Ended)
        {
            self.activate(io, service);
        }
    }

    fn activate(&mut self, io: Io<IO>, service: ExchangeService<S>) {
        self.state = State::Active(Protocol::new(io, service, &self.shared.http));
    }

    /// Takes the connection back from hyper and decides what becomes of it: it is closed, or continues.
    fn advance(&mut self, end: End) -> Option<Closing<IO>> {
        let handle = self.guard.handle().clone();
        // Before the rest of the response is dropped.
        let is_cut = handle.lock().has_more_to_write();
        let parts = match mem::replace(&mut self.state, State::Ended) {
            State::Active(protocol) => protocol.into_parts(),
            State::Idle { io, service } => Some(Parts {
                io,
                service,
                read: Bytes::new(),
            }),
            State::Http2(http2) => return Some(http2.into_closing(end, &handle)),
            State::Upgraded(upgraded) => return Some(end_upgraded(*upgraded, end)),
            State::Ended => unreachable!("a connection that has ended is not polled"),
        };
        let Some(parts) = parts else {
            return self.begin_upgraded();
        };
        let Parts {
            mut io,
            service,
            read,
        } = parts;
        let has_rest = !is_blank(&read) || !is_blank(io.kept());
        let is_wait_over = matches!(end, End::TimedOut(TimeoutKind::Request) | End::RoomNeeded);
        match end {
            // A part of the next head has come.
            _ if is_wait_over && has_rest && self.deadlines.is_idle() => {
                self.deadlines.set_head_found();
                handle.set_waiting(WaitsFor::RestOfHead);
                io.unread(read);
                self.activate(io, service);
                None
            }
            // It has come just now, before the client could see the end.
            End::RoomNeeded if !has_rest && io.has_unread() => {
                self.await_head(io, service);
                None
            }
            End::TimedOut(TimeoutKind::Request)
                if !has_rest && self.deadlines.is_draining_unread() && io.has_unread() =>
            {
                self.await_head(io, service);
                None
            }
            _ if is_wait_over && has_rest => {
                tracing::debug!("the request head did not arrive in time");
                let sent = [io.kept(), &read].concat();
                Some(self.refuse(io, &service, Refusal::HeadTimeout, sent))
            }
            End::Http(Err(error)) if error.is_parse_version_h2() && self.speaks_http2(&service) => {
                self.begin_http2(io, service, read);
                None
            }
            End::Http(Err(error)) if error.is_parse() && handle.lock().output.take_refusal() => {
                tracing::debug!(error = error_text(&error), "a malformed request is refused");
                // hyper has kept a head that it could not parse at all.
                let sent = match read.is_empty() {
                    true => handle.lock().take_received(),
                    false => read.to_vec(),
                };
                // hyper knows it only if it has come as a whole.
                if is_begin_of_preface(&sent) && self.speaks_http2(&service) {
                    self.begin_http2(io, service, sent.into());
                    return None;
                }
                let refusal = Refusal::of_parse_error(&error, &sent);
                Some(self.refuse(io, &service, refusal, sent))
            }
            End::TimedOut(TimeoutKind::Request)
                if self.deadlines.may_stay_idle(&self.shared.http) =>
            {
                self.deadlines.set_checked();
                handle.set_waiting(WaitsFor::NextRequest);
                handle.lock().set_idle();
                self.state = State::Idle { io, service };
                None
            }
            end => {
                let mut state = handle.lock();
                if is_cut && !end.is_failure() {
                    state.reset_on_close();
                }
                if let End::Http(Err(error)) = &end {
                    service.log_malformed(error);
                }
                // A client that has not learned of the end yet may be sending its next request.
                let is_sending =
                    has_rest || state.body_state() != BodyState::Complete || state.is_shedding();
                Some(Closing::Ended {
                    io,
                    end,
                    is_sending,
                })
            }
        }
    }

    /// Whether the preface of HTTP/2 that has come is its beginning, and not that of a request which is refused.
    fn speaks_http2(&self, service: &ExchangeService<S>) -> bool {
        self.shared.http.versions.has_http2()
            && service.may_speak_http2()
            && self.guard.handle().lock().requests() == 0
    }

    /// The client speaks HTTP/2 from its first byte on.
    fn begin_http2(&mut self, mut io: Io<IO>, service: ExchangeService<S>, read: Bytes) {
        io.unread(read);
        let service = service.admitting();
        let http2 = Http2Connection::new(io, service, &self.shared.http);
        self.state = State::Http2(Box::new(http2));
        self.deadlines.set_new();
        self.guard.handle().set_waiting(WaitsFor::FirstRequest);
    }

    /// The service has the connection from now on.
    fn begin_upgraded(&mut self) -> Option<Closing<IO>> {
        let upgrade = self.guard.handle().lock().take_upgrade();
        match upgrade.and_then(UpgradedConnection::begin) {
            Some(upgraded) => {
                self.state = State::Upgraded(Box::new(upgraded));
                None
            }
            None => Some(Closing::Closed),
        }
    }

    fn await_head(&mut self, io: Io<IO>, service: ExchangeService<S>) {
        self.deadlines.set_head_begun();
        self.guard.handle().set_waiting(WaitsFor::RestOfHead);
        self.activate(io, service);
    }

    fn refuse(
        &self,
        io: Io<IO>,
        service: &ExchangeService<S>,
        refusal: Refusal,
        sent: Vec<u8>,
    ) -> Closing<IO> {
        Closing::Refused {
            io,
            response: self.shared.hooks.renderer().render(&refusal.into(), None),
            exchange: service.refused(&sent),
            sent,
        }
    }
}

/// Whether a client begins with a part of the preface of HTTP/2 (RFC 9113 section 3.4), which no request of HTTP/1.1 begins
/// with.
fn is_begin_of_preface(sent: &[u8]) -> bool {
    sent.len() >= PREFACE_LINE.len() && PREFACE.starts_with(&sent[..sent.len().min(PREFACE.len())])
}

/// Prepares hyper for a response 101. Returns whether it was not.
fn switch<IO, S>(state: &mut State<IO, S>) -> bool
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    match mem::replace(state, State::Ended) {
        State::Active(protocol) if !protocol.is_switching() => {
            *state = State::Active(protocol.switching());
            true
        }
        other => {
            *state = other;
            false
        }
    }
}

/// Takes the socket back from the service.
fn end_upgraded<IO>(upgraded: UpgradedConnection<IO>, end: End) -> Closing<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match upgraded.into_io() {
        Some(io) => Closing::Ended {
            io,
            end,
            is_sending: true,
        },
        None => Closing::Closed,
    }
}

/// Whether the connection has ended with something left to write. A malformed request comes after the
/// responses to those before it.
fn is_broken(polled: &Poll<End>) -> bool {
    match polled {
        Poll::Ready(End::Http(Err(error))) => !error.is_parse(),
        Poll::Ready(End::Panic) => true,
        _ => false,
    }
}
