//! The client's socket, between hyper and the connection's state.

use std::{
    any::Any,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, recv},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::{handle::ConnectionHandle, output::WriteStep};

/// Bytes up to which a vectored write is put together: the kernel takes one piece faster than two.
const SMALL: usize = 2 << 10;

/// Most requests fit into what is read ahead, without hyper's buffer.
const AHEAD: usize = 1 << 10;

/// The client's socket, as hyper sees it: it reports what it does to the connection's state, and does not close by itself.
///
/// When it is dropped while a response is not whole, it is reset.
#[derive(Debug)]
pub(super) struct Io<IO: 'static> {
    inner: IO,
    /// Read before, to be read again.
    unread: Bytes,
    handle: ConnectionHandle,
}

impl<IO> Io<IO> {
    pub(super) fn new(inner: IO, handle: ConnectionHandle) -> Self {
        Self {
            inner,
            unread: Bytes::new(),
            handle,
        }
    }

    /// The next reads give `bytes` first.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// What the next reads give first.
    pub(super) fn kept(&self) -> &[u8] {
        &self.unread
    }

    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }

    /// Whether a write was not done since the connection is about to be upgraded.
    pub(super) fn is_upgrading(&self) -> bool {
        self.handle.lock().is_upgrading()
    }

    pub(super) fn inner(&self) -> &IO {
        &self.inner
    }

    pub(super) fn inner_mut(&mut self) -> &mut IO {
        &mut self.inner
    }

    /// Whether the client has sent something that was not read, also when the event loop has not heard of it yet.
    pub(super) fn has_unread(&self) -> bool {
        has_unread(&self.inner)
    }

    /// Whether a read is done, by what is kept or at the end of the input.
    fn has_kept_or_ended(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread[..length]);
            self.unread.advance(length);
            return true;
        }
        // Asked again after the end, TLS may give an error.
        self.handle.input().is_closed()
    }

    /// For a client that sends no more.
    fn check_not_gone(&self) -> io::Result<()> {
        if is_gone(&self.inner) {
            let text = "the connection was reset before the response was sent";
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
        }
        Ok(())
    }
}

impl<IO: AsyncRead + Unpin> Io<IO> {
    /// Reads what the client of an upgraded connection sends, which is no business of the connection's state.
    pub(super) fn poll_read_upgraded(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_kept_or_ended(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let has_more = matches!(read, Poll::Ready(Ok(())) if buf.filled().len() > before);
        if read.is_ready() && !has_more {
            self.handle.input().close();
        }
        read
    }

    /// Reads what the client sends, to be read again. That is nothing at its end.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [const { MaybeUninit::uninit() }; AHEAD];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *self).poll_read(cx, &mut bytes))?;
        self.unread = Bytes::copy_from_slice(bytes.filled());
        Poll::Ready(Ok(()))
    }

    /// Fails if the client has left while its request is being served, and otherwise lets it wake the connection
    /// when it leaves. The beginning of its next request is kept, and then there is no check until that was read.
    ///
    /// The end of its input is no departure: the client may have closed its sending side and wait for the response (RFC
    /// 9112 section 9.6). After that only a reset shows that it has left, which does not wake the connection: `deadlines`
    /// has it checked each second.
    ///
    /// hyper does not show whether it waits for more of a body, whose end means something else. So there is no check
    /// before the service has taken the body to its end, or `shared_body` has seen that all of it is here. A client is
    /// missed that leaves when its body has come in pieces, is chunked, or is large, as long as the service does not
    /// read on; hyper would notice only where it could hand on all that is left.
    fn check_client(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_ahead(cx) {
            Poll::Ready(Ok(())) if !self.unread.is_empty() => Ok(()),
            Poll::Ready(Ok(())) => self.check_not_gone(),
            // With TLS, the end of the connection without one of the encrypted stream.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.check_not_gone()
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }

    /// `write` gives bytes to the socket, unless they are to be written later, or not at all.
    fn poll_write_by(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.handle.lock();
        match state.begin_write(self.handle.load().connections()) {
            WriteStep::Write => {}
            WriteStep::Defer => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            WriteStep::Discard => return Poll::Ready(Ok(length)),
            // For `Transport` to do.
            WriteStep::Upgrade => return Poll::Pending,
        }
        let written = write(Pin::new(&mut self.inner), cx);
        match &written {
            Poll::Ready(Ok(bytes)) => state.output.add_written(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                state.output.set_blocked();
                let checks = self.unread.is_empty() && state.poll_request_whole(cx.waker());
                drop(state);
                if checks {
                    self.check_client(cx)?;
                }
            }
        }
        written
    }
}

impl<IO> Drop for Io<IO> {
    fn drop(&mut self) {
        let state = self.handle.lock();
        if state.is_reset_on_close() || state.has_more_to_write() {
            reset_on_drop(&self.inner);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Io<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.has_kept_or_ended(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => match &buf.filled()[before..] {
                [] => this.handle.input().close(),
                bytes if is_blank(bytes) => {}
                bytes => this.handle.lock().add_read(bytes),
            },
            Poll::Ready(Err(_)) => this.handle.input().close(),
            Poll::Pending => {}
        }
        read
    }
}

/// hyper comes here at the end of each turn, so this is where clients that leave are noticed.
impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Io<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, buf.len(), |inner, cx| inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_write_by(cx, length, |inner, cx| {
            if length > SMALL {
                return inner.poll_write_vectored(cx, bufs);
            }
            let mut whole = [const { MaybeUninit::uninit() }; SMALL];
            let mut whole = ReadBuf::uninit(&mut whole);
            bufs.iter().for_each(|buf| whole.put_slice(buf));
            inner.poll_write(cx, whole.filled())
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = Pin::new(&mut this.inner).poll_flush(cx)?;
        let mut state = this.handle.lock();
        // hyper asks for this when it has nothing more to write.
        match flushed {
            Poll::Ready(()) => state.set_flushed(),
            Poll::Pending => state.output.set_blocked(),
        }
        let checks = this.unread.is_empty() && state.poll_request_whole(cx.waker());
        drop(state);
        if checks {
            this.check_client(cx)?;
        }
        flushed.map(Ok)
    }

    /// Flushes only: how the connection is closed is decided when hyper is done with it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Whether there are only line ends, which a client may send before a request (RFC 9112 section 2.2).
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Lets a TCP connection end in a reset, so that what was sent cannot be taken for a whole response
/// even where only the end of the connection shows it (RFC 9112 section 8).
fn reset_on_drop<IO: 'static>(io: &IO) {
    if let Some(stream) = tcp(io) {
        // A socket that is not connected any more needs no reset.
        let _ = stream.set_zero_linger();
    }
}

/// Asks the kernel itself.
fn has_unread<IO: 'static>(io: &IO) -> bool {
    let Some(socket) = socket(io) else {
        return false;
    };
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(socket, &mut [0; 1], flags).is_ok_and(|(_, length)| length > 0)
}

/// Whether the connection was reset, or the client of a Unix socket has closed all of it.
fn is_gone<IO: 'static>(io: &IO) -> bool {
    let Some(socket) = socket(io) else {
        return false;
    };
    // Without flags, it looks for errors and hang-ups alone.
    let mut socket = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    poll(&mut socket, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn socket<IO: 'static>(io: &IO) -> Option<BorrowedFd<'_>> {
    let tcp = tcp(io).map(AsFd::as_fd);
    let unix = || (io as &dyn Any).downcast_ref::<UnixStream>();
    tcp.or_else(|| unix().map(AsFd::as_fd))
}

fn tcp<IO: 'static>(io: &IO) -> Option<&TcpStream> {
    let io = io as &dyn Any;
    let tcp = io.downcast_ref();
    #[cfg(feature = "tls")]
    let tcp = tcp.or_else(|| {
        let tls = io.downcast_ref::<TlsStream<TcpStream>>();
        tls.map(|tls| tls.get_ref().0)
    });
    tcp
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream as Client},
        os::unix::net::UnixStream as Local,
    };

    use super::*;

    #[tokio::test]
    async fn the_kernel_knows_of_bytes_before_the_event_loop_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let server = TcpStream::from_std(server).unwrap();
        assert!(!has_unread(&server));
        client.write_all(b"G").unwrap();
        assert!(has_unread(&server) && has_unread(&server), "it only looks");

        let (mut client, server) = Local::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let server = UnixStream::from_std(server).unwrap();
        assert!(!has_unread(&server));
        client.write_all(b"G").unwrap();
        assert!(has_unread(&server));
        let (client, server) = Local::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let server = UnixStream::from_std(server).unwrap();
        drop(client);
        assert!(!has_unread(&server), "the end is nothing to read");
    }
}
