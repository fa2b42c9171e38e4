use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
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
    call::Calls,
    clock::{Alarm, Clock, Expiry},
    close::{End, finish},
    drain::{News, drained},
    events::ConnectionEvents,
    io::{Io, is_blank},
    parked::Parked,
    progress::{Awaits, BodyState, Open, Progress},
    refusal::Refusal,
};
use crate::{
    HttpService,
    error::{error_text, panic_text},
};

/// Read in the place of a request that did not arrive, so that hyper writes the answer to it.
const NO_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: none\r\n\r\n";

/// The same, where the answer has no body.
const NO_HEAD_REQUEST: &[u8] = b"HEAD / HTTP/1.1\r\nhost: none\r\n\r\n";

/// Serves one connection until it has ended, and never panics.
///
/// When `drain` is set, an idle connection closes after that time, a busy one closes after its response, and
/// a new one has a moment to send its first request, which is answered.
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
    let progress = Progress::new(
        connection.input().clone(),
        shared.load.clone(),
        shared.http.body_timeout,
    );
    let open = Open::begin(&Arc::new(progress));
    serve_opened(io, connection, service, shared, open, None)
}

/// The same for a connection that has been open for a while; with a `refusal`, every request is refused, and the
/// service is not called.
pub(super) fn serve_opened<IO, S>(
    io: IO,
    connection: ConnectInfo,
    service: S,
    shared: Arc<Shared>,
    open: Open,
    refusal: Option<Refusal>,
) -> impl Future<Output = ()> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let progress = open.progress().clone();
    let life = ConnectionEvents::begin(&shared, &connection, &progress).map(Box::new);
    let access_log = shared.access_log.as_ref();
    let access_log = access_log.map(|log| log.client(&connection));
    let is_logged = access_log.is_some();
    let calls = Calls::new(
        service,
        connection,
        progress.clone(),
        access_log,
        shared.readiness.clone(),
        shared.hooks.renderer().clone(),
        refusal,
    );
    let http = shared.http(Io::new(io, progress.clone()), calls);
    let mut parts = Parts {
        stage: Some(Stage::<_, Parked<IO, S>>::Serving(http)),
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
        let mut is_refused = false;

        let (io, end, more) = loop {
            let mut given_up = false;
            let end = poll_fn(|cx| {
                progress.begin_turn();
                // First, so that a request which is about to be read is known to be the last.
                if drain_news.are_there(cx.waker()) {
                    progress.idle().set_waker(cx.waker());
                    // Otherwise it may not have taken the waker.
                    while let Poll::Ready((idle, receiver)) =
                        pin!(unconstrained(drain.as_mut())).poll(cx)
                    {
                        clock.drain(idle);
                        progress.set_closing();
                        drain.set(drained(receiver, Some(idle)));
                    }
                }
                if let Some(Stage::Parked(parked)) = &mut parts.stage
                    && parked.poll_arrival(cx).is_ready()
                    && let Some(Stage::Parked(parked)) = parts.stage.take()
                {
                    let http = shared.http(parked.io, parked.calls);
                    parts.stage = Some(Stage::Serving(http));
                }
                loop {
                    let polled = match &mut parts.stage {
                        Some(Stage::Serving(http)) => poll_http(http, &progress, cx),
                        Some(Stage::Parked(_)) | None => Poll::Pending,
                    };
                    if progress.is_postponed() && polled.is_pending() {
                        return Poll::Pending;
                    }
                    if is_logged && !progress.blocked() && !is_broken(&polled) {
                        progress.last_record().sent();
                    }
                    if let Poll::Ready(end) = polled {
                        return Poll::Ready(end);
                    }
                    clock.observe(&progress, cx);
                    if progress.idle().is_given_up() {
                        progress.idle().keep();
                        if clock.is_waiting() {
                            given_up = true;
                            return Poll::Ready(End::Expired(Expiry::Phase));
                        }
                    }
                    if clock.is_idle() && progress.tainted() {
                        return Poll::Ready(End::Tainted);
                    }
                    match ready!(clock.poll_alarm(cx)) {
                        Alarm::Expired(expiry) => return Poll::Ready(End::Expired(expiry)),
                        // The call hears of it when hyper asks it again.
                        Alarm::Overdue(since) => progress.due().set_overdue(since.elapsed()),
                        // `io` does when hyper comes to it.
                        Alarm::Look => {}
                    }
                }
            })
            .await;

            // To be asked before the rest of the response is dropped.
            let cut = progress.has_more_to_write();
            let (mut io, mut calls, read) = match parts.stage.take() {
                Some(Stage::Serving(http)) => {
                    let http = http.into_parts();
                    (http.io.into_inner(), http.service, http.read_buf)
                }
                Some(Stage::Parked(parked)) => (parked.io, parked.calls, Bytes::new()),
                None => return,
            };
            let rest = !is_blank(&read) || !is_blank(io.kept());
            match end {
                End::Expired(Expiry::Phase) if rest && clock.is_idle() => {
                    clock.found_head();
                    progress.note_idle(Awaits::RestOfHead);
                    io.unread(read);
                }
                End::Expired(Expiry::Phase)
                    if !rest && (given_up || clock.drains_waiting()) && io.has_unread() =>
                {
                    clock.found_bytes();
                    progress.note_idle(Awaits::RestOfHead);
                }
                End::Expired(Expiry::Phase) if rest => {
                    tracing::debug!("the request head did not arrive in time");
                    is_refused = true;
                    let mut sent = io.kept().to_vec();
                    sent.extend_from_slice(&read);
                    io.unread(in_place_of(&sent));
                    calls = calls.refusing(Refusal::HeadTimeout, sent);
                }
                End::Http(Err(error)) if progress.take_refused() && error.is_parse() => {
                    tracing::debug!(error = error_text(&error), "a malformed request is refused");
                    is_refused = true;
                    let recent = progress.recent().take();
                    // hyper has kept a head that it could not parse at all.
                    let sent = if read.is_empty() {
                        recent
                    } else {
                        read.to_vec()
                    };
                    let refusal = Refusal::of_parse_error(&error, &sent);
                    io.unread(in_place_of(&sent));
                    calls = calls.refusing(refusal, sent);
                }
                End::Expired(Expiry::Phase) if clock.may_wait() => {
                    clock.found_nothing();
                    progress.note_idle(Awaits::NextRequest);
                    drop(progress.last_record().take());
                    parts.stage = Some(Stage::Parked(Parked { io, calls }));
                    continue;
                }
                end => {
                    if cut && !end.is_failure() {
                        progress.set_broken();
                    }
                    if let End::Http(Err(error)) = &end {
                        calls.malformed(error);
                    }
                    let more = rest || is_refused || progress.body() != BodyState::Complete;
                    // A client that was not told yet may be sending its next request.
                    break (io, end, more || progress.shed());
                }
            }
            parts.stage = Some(Stage::Serving(shared.http(io, calls)));
        };
        progress.note_idle(Awaits::Nothing);
        // Boxed, as no connection needs the room for it before its end.
        Box::pin(finish(io, end, more, clock.draining(), &progress)).await;
    }
}

/// What hyper reads in the place of what a client has sent.
fn in_place_of(sent: &[u8]) -> Bytes {
    Bytes::from_static(if sent.starts_with(b"HEAD ") {
        NO_HEAD_REQUEST
    } else {
        NO_REQUEST
    })
}

/// What a connection is made of, in the order in which it is dropped: what hyper holds of a response is
/// accounted for by the others.
struct Parts<H, P> {
    /// There is always one, but while it turns into the other.
    stage: Option<Stage<H, P>>,
    _life: Option<Box<ConnectionEvents>>,
    _open: Open,
}

/// Who waits for the client.
enum Stage<H, P> {
    /// hyper.
    Serving(H),
    Parked(P),
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
