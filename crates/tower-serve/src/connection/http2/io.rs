//! The client's socket, as hyper's HTTP/2 sees it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::io::Io;

/// The client's socket, as hyper's HTTP/2 sees it: it reports what is written to the connection's state, and does not close by
/// itself. hyper does not give it back, so it returns to its [`FrameIoOwner`] when hyper drops it.
pub(super) struct FrameIo<IO: 'static> {
    /// Until it is dropped.
    io: Option<Io<IO>>,
    returned: Arc<Mutex<Option<Io<IO>>>>,
}

/// Gets the socket back when hyper has dropped it.
pub(super) struct FrameIoOwner<IO: 'static>(Arc<Mutex<Option<Io<IO>>>>);

impl<IO> FrameIo<IO> {
    pub(super) fn new(io: Io<IO>) -> (Self, FrameIoOwner<IO>) {
        let returned = Arc::new(Mutex::new(None));
        let owner = FrameIoOwner(returned.clone());
        let io = Some(io);
        (Self { io, returned }, owner)
    }

    fn io(&mut self) -> &mut Io<IO> {
        self.io.as_mut().expect("it is here until it is dropped")
    }

    /// Reports a write to the connection's state.
    fn report(&mut self, written: &Poll<io::Result<usize>>) {
        let mut state = self.io().handle().lock();
        match written {
            Poll::Ready(Ok(bytes)) => state.output.add_written(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => state.output.set_blocked(),
        }
    }
}

impl<IO> FrameIoOwner<IO> {
    /// The socket, if hyper has dropped it.
    pub(super) fn take(&self) -> Option<Io<IO>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<IO> Drop for FrameIo<IO> {
    fn drop(&mut self) {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        *returned = self.io.take();
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for FrameIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read_upgraded(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for FrameIo<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.io().inner_mut()).poll_write(cx, buf);
        self.report(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.io().inner_mut()).poll_write_vectored(cx, bufs);
        self.report(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        let io = self.io.as_ref();
        io.is_some_and(|io| io.inner().is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io();
        let flushed = Pin::new(io.inner_mut()).poll_flush(cx);
        let mut state = io.handle().lock();
        match flushed {
            Poll::Ready(_) => state.output.set_flushed(false),
            Poll::Pending => state.output.set_blocked(),
        }
        drop(state);
        flushed
    }

    /// Flushes only: how the connection is closed is decided when hyper is done with it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
