//! The beginning of a connection with TLS.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::{Load, Shared, clock::Clock, drain::drained};
use crate::error::error_text;

/// Bytes that are encrypted in advance. A slow client must be seen to take something from time to time: what
/// waits here is not counted until it is taken.
const BUFFER: usize = 16 << 10;

/// Encrypts a connection, or gives it up. It has as long as for a request head, and while the worker drains
/// as long as for a first request.
pub(super) async fn handshake<IO>(
    io: IO,
    tls: &Arc<ServerConfig>,
    shared: &Shared,
) -> Option<Box<TlsStream<IO>>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let _fresh = Fresh::begin(&shared.load);
    let mut clock = Clock::new(&shared.http);
    let mut drain = pin!(drained(shared.drain.clone(), None));
    let mut accept = pin!(
        TlsAcceptor::from(tls.clone()).accept_with(io, |tls| tls.set_buffer_limit(Some(BUFFER)))
    );
    poll_fn(|cx| {
        while let Poll::Ready((idle, receiver)) = drain.as_mut().poll(cx) {
            clock.drain(idle);
            drain.set(drained(receiver, Some(idle)));
        }
        match accept.as_mut().poll(cx) {
            Poll::Ready(Ok(stream)) => return Poll::Ready(Some(Box::new(stream))),
            Poll::Ready(Err(error)) => {
                tracing::debug!(error = error_text(&error), "the TLS handshake failed");
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        // Nothing else than the time can be over.
        let _ = ready!(clock.poll_alarm(cx));
        tracing::debug!("the TLS handshake was not done in time");
        Poll::Ready(None)
    })
    .await
}

/// Counts as a connection that has yet to send its first request.
struct Fresh<'a>(&'a Load);

impl<'a> Fresh<'a> {
    fn begin(load: &'a Load) -> Self {
        load.connection_opened();
        Self(load)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        self.0.connection_used();
        self.0.connection_closed();
    }
}
