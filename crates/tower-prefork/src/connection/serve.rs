use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::unconstrained,
};
#[cfg(feature = "tls")]
use tokio_rustls::rustls::ServerConfig;

use super::{
    Connection, Load,
    call::{Calls, HEAD_TIMEOUT},
    clock::{Alarm, Clock, Expiry},
    close::{End, finish},
    drain::{News, drained},
    io::{Io, is_blank},
    life::Life,
    progress::{BodyState, Open, Progress},
    readiness::Readiness,
};
use crate::{HttpService, access_log::Log, config::Http, error::panic_text, hooks::Hooks};

/// hyper's default; to name it costs an allocation per request.
const DEFAULT_MAX_HEADERS: usize = 100;

/// A buffer of hyper's grows up to this while a large body passes: each read, and each piece of a body, costs.
const LARGE_BUFFER: usize = 256 << 10;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Read in the place of a request that did not arrive, so that hyper writes the answer to it.
const NO_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: none\r\n\r\n";

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) http: Http,
    pub(super) drain: watch::Receiver<Option<Duration>>,
    pub(super) load: Load,
    access_log: Option<Log>,
    readiness: Option<Readiness>,
    hooks: Hooks,
    /// For TCP connections.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Shared {
    /// `drain` is set when the worker is to stop: how long an idle connection may wait for its last
    /// request. No time-out is longer than a year.
    pub(crate) fn new(
        mut http: Http,
        drain: watch::Receiver<Option<Duration>>,
        load: Load,
        access_log: Option<Log>,
        readiness: Option<Readiness>,
        hooks: Hooks,
    ) -> Self {
        for time in [
            &mut http.header_timeout,
            &mut http.keep_alive_timeout,
            &mut http.body_timeout,
            &mut http.write_timeout,
            &mut http.request_timeout,
        ] {
            // Far beyond it, there is no such time.
            *time = YEAR.min(*time);
        }
        Self {
            http,
            drain,
            load,
            access_log,
            readiness,
            hooks,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// TCP connections begin with a handshake.
    #[cfg(feature = "tls")]
    pub(crate) fn encrypted(self, tls: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    fn builder(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            // One timer for all is in `clock`. hyper's own covers idleness, too, and sends no answer.
            .header_read_timeout(None)
            .half_close(false)
            .max_header_size(self.http.max_header_size)
            .max_buf_size(self.http.max_header_size.max(LARGE_BUFFER));
        if self.http.max_headers != DEFAULT_MAX_HEADERS {
            builder.max_headers(self.http.max_headers);
        }
        builder
    }
}

/// Serves one connection until it has ended, and never panics.
///
/// When `drain` is set, an idle connection closes after that time, a busy one closes after its response, and
/// a new one has a moment to send its first request, which is answered.
pub(crate) fn serve<IO, S>(
    io: IO,
    connection: Connection,
    service: S,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let progress = Arc::new(Progress::new(shared.load.clone(), shared.http.body_timeout));
    let open = Open::begin(&progress);
    let life = Life::begin(&shared, &connection, &progress).map(Box::new);
    let access_log = shared.access_log.as_ref();
    let access_log = access_log.map(|log| log.client(&connection));
    let is_logged = access_log.is_some();
    let calls = Calls::new(
        service,
        connection,
        progress.clone(),
        access_log,
        shared.readiness.clone(),
    );
    let io = TokioIo::new(Io::new(io, progress.clone()));
    let mut parts = Parts {
        http: Some(shared.builder().serve_connection(io, calls)),
        _life: life,
        _open: open,
    };

    // Ten thousands of these may wait, so it is kept small: an asynchronous function would keep its arguments
    // beside what was made of them.
    async move {
        let parts = &mut parts;
        let mut clock = Clock::new(&shared.http);
        let mut drain = pin!(drained(shared.drain.clone(), None));
        let mut drain_news = News::of(shared.drain.clone());
        let mut timed_out = false;

        let (io, end, more) = loop {
            let Some(http) = &mut parts.http else {
                return;
            };
            let end = poll_fn(|cx| {
                progress.begin_turn();
                // First, so that a request which is about to be read is known to be the last.
                if drain_news.are_there(cx.waker()) {
                    // Otherwise it may not have taken the waker.
                    while let Poll::Ready((idle, receiver)) =
                        pin!(unconstrained(drain.as_mut())).poll(cx)
                    {
                        clock.drain(idle);
                        progress.set_closing();
                        drain.set(drained(receiver, Some(idle)));
                    }
                }
                loop {
                    let polled = poll_http(http, &progress, cx);
                    if progress.is_postponed() && polled.is_pending() {
                        return Poll::Pending;
                    }
                    if is_logged && !progress.blocked() && !is_broken(&polled) {
                        progress.sent();
                    }
                    if let Poll::Ready(end) = polled {
                        return Poll::Ready(end);
                    }
                    clock.observe(&progress, cx);
                    if clock.is_idle() && progress.tainted() {
                        return Poll::Ready(End::Tainted);
                    }
                    match ready!(clock.poll_alarm(cx)) {
                        Alarm::Expired(expiry) => return Poll::Ready(End::Expired(expiry)),
                        // The call hears of it when hyper asks it again.
                        Alarm::Overdue(since) => progress.due().set_overdue(since.elapsed()),
                    }
                }
            })
            .await;

            // To be asked before the rest of the response is dropped.
            let cut = progress.has_more_to_write();
            let Some(http) = parts.http.take().map(http1::Connection::into_parts) else {
                return;
            };
            let rest = !is_blank(&http.read_buf);
            let mut io = http.io.into_inner();
            let mut calls = http.service;
            match end {
                End::Expired(Expiry::Phase) if rest && clock.draining() && clock.is_idle() => {
                    clock.found_head();
                    io.unread(http.read_buf);
                }
                End::Expired(Expiry::Phase)
                    if !rest && clock.drains_waiting() && io.has_unread() =>
                {
                    clock.found_bytes();
                }
                End::Expired(Expiry::Phase) if rest => {
                    tracing::debug!("the request head did not arrive in time");
                    timed_out = true;
                    calls = calls.with_answer(HEAD_TIMEOUT);
                    io.unread(Bytes::from_static(NO_REQUEST));
                }
                End::Expired(Expiry::Phase) if clock.may_wait() => clock.found_nothing(),
                end => {
                    if cut && !end.is_failure() {
                        progress.set_broken();
                    }
                    if let End::Http(Err(error)) = &end {
                        calls.malformed(error);
                    }
                    let more = rest || timed_out || progress.body() != BodyState::Complete;
                    // A client that was not told yet may be sending its next request.
                    break (io, end, more || progress.shed());
                }
            }
            let io = TokioIo::new(io);
            parts.http = Some(shared.builder().serve_connection(io, calls));
        };
        // Boxed, as no connection needs the room for it before its end.
        Box::pin(finish(io, end, more, clock.draining(), &progress)).await;
    }
}

/// What a connection is made of, in the order in which it is dropped: what hyper holds of a response is
/// accounted for by the others.
struct Parts<H> {
    http: Option<H>,
    _life: Option<Box<Life>>,
    _open: Open,
}

/// Whether the connection has ended with something left to write. A malformed request comes after the
/// responses to those before it.
fn is_broken(polled: &Poll<End>) -> bool {
    match polled {
        Poll::Ready(End::Http(Err(error))) => !error.is_parse(),
        Poll::Ready(End::Broken) => true,
        _ => false,
    }
}

/// Lets hyper work. A panic that gets through it comes from a response body, or is a bug: it ends this
/// connection and nothing else.
fn poll_http<H>(http: &mut H, progress: &Progress, cx: &mut Context<'_>) -> Poll<End>
where
    H: Future<Output = hyper::Result<()>> + Unpin,
{
    let poll = catch_unwind(AssertUnwindSafe(|| {
        let poll = Pin::new(&mut *http).poll(cx);
        if matches!(poll, Poll::Ready(Ok(()))) && progress.take_upgrade() {
            // After a request for an upgrade, hyper is done before it has written everything. It goes on
            // when it is asked again.
            return Pin::new(http).poll(cx);
        }
        poll
    }));
    match poll {
        Ok(poll) => poll.map(End::Http),
        Err(panic) => {
            tracing::error!(
                panic = panic_text(&*panic),
                "the response panicked; the connection is cut"
            );
            Poll::Ready(End::Broken)
        }
    }
}
