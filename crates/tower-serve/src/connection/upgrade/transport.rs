//! What hyper holds of a connection.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{super::io::Io, socket::UpgradedSocket};

/// What hyper holds of a connection: its IO, and from the head of a response 101 on, the service's half of the socket.
#[derive(Debug)]
pub(in crate::connection) enum Transport<IO: 'static> {
    Http(Io<IO>),
    Upgraded(ServiceHalf<IO>),
}

/// The service's half of an upgraded socket. hyper writes the head of the response to it before the service gets it.
#[derive(Debug)]
pub(in crate::connection) struct ServiceHalf<IO: 'static>(Arc<UpgradedSocket<IO>>);

impl<IO> Drop for ServiceHalf<IO> {
    fn drop(&mut self) {
        self.0.lock().end_service();
    }
}

impl<IO: Send + 'static> Transport<IO> {
    /// Shares the IO with the connection's task, which finds it in the connection's state.
    fn upgrade(&mut self) -> Arc<UpgradedSocket<IO>> {
        let socket = Arc::new(UpgradedSocket::new());
        let half = ServiceHalf(socket.clone());
        if let Self::Http(io) = mem::replace(self, Self::Upgraded(half)) {
            let mut state = io.handle().lock();
            let is_websocket = state.set_upgraded(socket.clone());
            // What the IO has kept is counted when the service reads it; the rest comes to the service from hyper.
            let ahead = state.read_ahead().saturating_sub(io.kept().len());
            drop(state);
            socket.lock().begin(io, is_websocket, ahead);
        }
        socket
    }
}

impl<IO> AsyncRead for Transport<IO>
where
    IO: AsyncRead + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http(io) => Pin::new(io).poll_read(cx, buf),
            Self::Upgraded(half) => half.0.lock().poll_read(cx, buf),
        }
    }
}

/// A write that is pending for the upgrade is the first one of the response 101, and goes to the upgraded socket.
impl<IO> AsyncWrite for Transport<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this {
            Self::Http(io) => match Pin::new(&mut *io).poll_write(cx, buf) {
                Poll::Pending if io.is_upgrading() => this.upgrade().lock().poll_write(cx, buf),
                polled => polled,
            },
            Self::Upgraded(half) => half.0.lock().poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Where a frame ends is looked for in one piece at a time.
        let first = || bufs.iter().find(|buf| !buf.is_empty());
        let first = || first().map_or(&[][..], |buf| buf);
        match this {
            Self::Http(io) => match Pin::new(&mut *io).poll_write_vectored(cx, bufs) {
                Poll::Pending if io.is_upgrading() => this.upgrade().lock().poll_write(cx, first()),
                polled => polled,
            },
            Self::Upgraded(half) => half.0.lock().poll_write(cx, first()),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Http(io) => io.is_write_vectored(),
            Self::Upgraded(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http(io) => Pin::new(io).poll_flush(cx),
            Self::Upgraded(half) => half.0.lock().poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http(io) => Pin::new(io).poll_shutdown(cx),
            Self::Upgraded(half) => half.0.lock().poll_shutdown(cx),
        }
    }
}
