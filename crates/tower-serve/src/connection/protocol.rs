//! The protocol that a connection speaks, which is chosen here, and hyper's part of it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    close::End, exchange::ExchangeService, handle::ConnectionHandle, io::Io, upgrade::Transport,
};
use crate::{Http, HttpService, error::panic_text};

/// hyper's default; to name it costs an allocation per request.
const DEFAULT_MAX_HEADERS: usize = 100;

/// A buffer of hyper's grows up to this while a large body passes: each read, and each piece of a body, costs.
const LARGE_BUFFER: usize = 512 << 10;

/// hyper, which reads requests from the client and writes the responses of their exchanges.
pub(super) enum Protocol<IO: 'static, S: HttpService> {
    Http1(http1::Connection<TokioIo<Transport<IO>>, ExchangeService<S>>),
    /// The same, about to write a response 101. hyper keeps an upgradeable connection at no other end.
    Switching(http1::UpgradeableConnection<TokioIo<Transport<IO>>, ExchangeService<S>>),
}

/// What hyper was given, and what it has read.
pub(super) struct Parts<IO: 'static, S> {
    pub(super) io: Io<IO>,
    pub(super) service: ExchangeService<S>,
    pub(super) read: Bytes,
}

impl<IO, S> Protocol<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    pub(super) fn new(io: Io<IO>, service: ExchangeService<S>, http: &Http) -> Self {
        let mut builder = http1::Builder::new();
        builder
            // One timer for all is in `deadlines`. hyper's own covers idleness, too, and sends no response.
            .header_read_timeout(None)
            // `io` notices clients that leave. hyper would, with a new buffer for each request.
            .half_close(true)
            .max_header_size(http.max_header_size)
            .max_buf_size(http.max_header_size.max(LARGE_BUFFER));
        if http.max_headers != DEFAULT_MAX_HEADERS {
            builder.max_headers(http.max_headers);
        }
        let io = TokioIo::new(Transport::Http(io));
        Self::Http1(builder.serve_connection(io, service))
    }

    /// Lets hyper work until it is done with the connection. A panic that gets through it comes from a response body, or is
    /// a bug: it ends this connection and nothing else.
    pub(super) fn poll_end(
        &mut self,
        handle: &ConnectionHandle,
        cx: &mut Context<'_>,
    ) -> Poll<End> {
        let poll = catch_unwind(AssertUnwindSafe(|| {
            let http = match self {
                Self::Http1(http) => http,
                Self::Switching(http) => return Pin::new(http).poll(cx),
            };
            let poll = Pin::new(&mut *http).poll(cx);
            if matches!(poll, Poll::Ready(Ok(()))) && handle.lock().output.has_unwritten() {
                // After a request for an upgrade, hyper is done before it has written everything. It continues when it is
                // polled again.
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
                Poll::Ready(End::Panic)
            }
        }
    }

    /// Prepares hyper for a response 101.
    pub(super) fn switching(self) -> Self {
        match self {
            Self::Http1(http) => Self::Switching(http.with_upgrades()),
            Self::Switching(_) => self,
        }
    }

    pub(super) fn is_switching(&self) -> bool {
        matches!(self, Self::Switching(_))
    }

    /// `None` if the connection was upgraded: the service has the IO.
    pub(super) fn into_parts(self) -> Option<Parts<IO, S>> {
        let http = match self {
            Self::Http1(http) => http.into_parts(),
            Self::Switching(http) => http.into_parts()?,
        };
        let Transport::Http(io) = http.io.into_inner() else {
            return None;
        };
        Some(Parts {
            io,
            service: http.service,
            read: http.read_buf,
        })
    }
}
