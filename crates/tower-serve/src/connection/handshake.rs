//! The beginning of a connection with TLS.

use std::{
    any::Any,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::{
    Shared, deadlines::Deadlines, handle::ConnectionHandle, shared::drained, table::WaitsFor,
};
use crate::error::error_text;

/// Bytes that are encrypted in advance. A slow client must be seen to take something from time to time: what
/// waits here is not counted until it is taken.
const BUFFER: usize = 16 << 10;

/// What has come of a handshake.
pub(super) enum Shaken<IO> {
    Encrypted(Box<TlsStream<IO>>),
    /// The client speaks HTTP without TLS.
    Plain(IO),
}

/// Encrypts a connection, or gives it up. It has as long as for a request head, and while the worker drains
/// as long as for a first request.
pub(super) async fn handshake<IO>(
    io: IO,
    tls: &Arc<ServerConfig>,
    shared: &Shared,
    handle: &ConnectionHandle,
) -> Option<Shaken<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    handle.set_waiting(WaitsFor::Handshake);
    let mut deadlines = Deadlines::new();
    let mut drain = pin!(drained(shared.drain.clone(), None));
    let mut accept = pin!(async {
        if speaks_http(&io).await {
            return Ok(Shaken::Plain(io));
        }
        let acceptor = TlsAcceptor::from(tls.clone());
        let accept = acceptor.accept_with(io, |tls| tls.set_buffer_limit(Some(BUFFER)));
        Ok::<_, io::Error>(Shaken::Encrypted(Box::new(accept.await?)))
    });
    let shaken = poll_fn(|cx| {
        handle.entry().set_waker(cx.waker());
        while let Poll::Ready((idle, receiver)) = drain.as_mut().poll(cx) {
            deadlines.drain(idle);
            drain.set(drained(receiver, Some(idle)));
        }
        match accept.as_mut().poll(cx) {
            Poll::Ready(Ok(shaken)) => return Poll::Ready(Some(shaken)),
            Poll::Ready(Err(error)) => {
                tracing::debug!(error = error_text(&error), "the TLS handshake failed");
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        if handle.entry().take_close_request() {
            tracing::debug!(
                "the connection was closed in its TLS handshake to make room for a new one"
            );
            return Poll::Ready(None);
        }
        // Nothing else than the time can be over.
        let timer = &mut handle.lock().timer;
        let _ = ready!(deadlines.poll_event(&shared.http, timer, cx));
        tracing::debug!("the TLS handshake was not done in time");
        Poll::Ready(None)
    })
    .await;
    handle.set_waiting(WaitsFor::FirstRequest);
    shaken
}

/// Whether a client begins as HTTP does: with a letter, which no handshake begins with.
async fn speaks_http<IO: 'static>(io: &IO) -> bool {
    let Some(stream) = (io as &dyn Any).downcast_ref::<TcpStream>() else {
        return false;
    };
    let mut first = [0; 1];
    // At an error or the end, the handshake has it, too.
    stream.peek(&mut first).await.is_ok_and(|length| length > 0) && first[0].is_ascii_alphabetic()
}
