//! What comes on a connection before HTTP and TLS: the header of the PROXY protocol.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use futures_util::future::Either;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    ConnectInfo, Shared,
    deadlines::Deadlines,
    handle::{ConnectionGuard, ConnectionHandle},
    serve::{Begin, serve, serve_open},
    shared::drained,
    table::WaitsFor,
};
use crate::{HttpService, proxy_protocol::ProxyHeader};

/// As [`serve`], behind the header of the PROXY protocol if the server wants one.
pub(crate) fn serve_io<IO, S>(
    mut io: IO,
    connection: ConnectInfo,
    service: S,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    if shared.proxy_protocol.is_none() {
        return Either::Left(serve(io, connection, service, shared));
    }
    // Apart: connections without it need not have the room for it.
    Either::Right(Box::pin(async move {
        let open = ConnectionGuard::begin(&shared, &connection);
        let opened = opened(&mut io, connection, &shared, open.handle()).await;
        if let Some(connection) = opened {
            let begin = Begin::cleartext(shared.http.versions);
            let served = serve_open(io, connection, service, shared, open, begin);
            Box::pin(served).await;
        }
    }))
}

/// Reads the header of the PROXY protocol, if the server wants one: the connection as it says. `None` if the connection is to
/// be closed, which is logged.
pub(super) async fn opened<IO>(
    io: &mut IO,
    connection: ConnectInfo,
    shared: &Shared,
    handle: &ConnectionHandle,
) -> Option<ConnectInfo>
where
    IO: AsyncRead + Unpin,
{
    let Some(protocol) = &shared.proxy_protocol else {
        return Some(connection);
    };
    let refuse = |reason: &dyn std::fmt::Display| {
        protocol.log_refused(connection.peer(), reason);
        None
    };
    if !protocol.peers.contains_peer(&connection) {
        return refuse(&"the peer is not in --proxy-allow-ips");
    }
    handle.set_waiting(WaitsFor::Handshake);
    let header = in_time(ProxyHeader::read(io), shared, handle).await;
    handle.set_waiting(WaitsFor::FirstRequest);
    match header {
        Some(Ok(ProxyHeader::Client {
            source,
            destination,
        })) => Some(connection.proxied(destination, source)),
        Some(Ok(ProxyHeader::Local)) => Some(connection),
        Some(Err(error)) => refuse(&error),
        None => refuse(&"the header of the PROXY protocol did not arrive in time"),
    }
}

/// Waits for what comes before HTTP: as long as for a request head, and while the worker drains as long as for a first
/// request. `None` when the time is over, or when the connection is to make room for a new one.
async fn in_time<F: Future>(
    before: F,
    shared: &Shared,
    handle: &ConnectionHandle,
) -> Option<F::Output> {
    let mut deadlines = Deadlines::new();
    let mut drain = pin!(drained(shared.drain.clone(), None));
    let mut before = pin!(before);
    poll_fn(|cx| {
        handle.entry().set_waker(cx.waker());
        while let Poll::Ready((idle, receiver)) = drain.as_mut().poll(cx) {
            deadlines.drain(idle);
            drain.set(drained(receiver, Some(idle)));
        }
        if let Poll::Ready(output) = before.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if handle.entry().take_close_request() {
            return Poll::Ready(None);
        }
        let timer = &mut handle.lock().timer;
        let _ = ready!(deadlines.poll_event(&shared.http, timer, cx));
        Poll::Ready(None)
    })
    .await
}
