//! The socket of an upgraded connection, which the service and the connection's task share.

use std::{
    io, mem,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    super::io::Io,
    frames::{ControlFrame, FrameScanner},
};

/// The socket of an upgraded connection.
///
/// The service's task reads and writes by itself. The connection's task writes only what the server itself sends, and only
/// where a frame of the service ends; meanwhile the service's writes wait. Each of them is woken by the socket itself, and by
/// the other one.
#[derive(Debug)]
pub(super) struct UpgradedSocket<IO: 'static>(Mutex<SocketState<IO>>);

#[derive(Debug)]
pub(super) struct SocketState<IO: 'static> {
    /// Until the connection has ended.
    io: Option<Io<IO>>,
    output: ServiceOutput,
    /// What the connection's task has to write.
    own: BytesMut,
    /// It has written, and has to flush.
    is_flushing: bool,
    service: ServiceState,
    /// Bytes that the service has read, and those that it has written.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// When the service has last read something.
    pub(super) last_read: Instant,
    /// Since when the socket has taken nothing of what there is to write.
    pub(super) blocked_since: Option<Instant>,
    /// The socket has failed.
    pub(super) is_broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    task: Option<Waker>,
}

/// What the service writes.
#[derive(Debug)]
enum ServiceOutput {
    /// The head of the response, by hyper. With the end of the head, the service begins.
    Head { is_websocket: bool },
    /// A protocol that the server does not know.
    Unknown,
    /// WebSocket frames, after the current one of which `due` is to be sent.
    Frames {
        frames: FrameScanner,
        due: Option<ControlFrame>,
    },
    /// Nothing more, since the server has sent a close frame of its own. What the service still writes is discarded.
    Discarded,
}

/// What the service does with its half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServiceState {
    Open,
    /// It sends no more, and the server has yet to close the sending side of the socket for it.
    ShuttingDown,
    /// It sends no more.
    ShutDown,
    /// It has dropped its half.
    Gone,
}

impl<IO> UpgradedSocket<IO> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(SocketState {
            io: None,
            output: ServiceOutput::Unknown,
            own: BytesMut::new(),
            is_flushing: false,
            service: ServiceState::Open,
            received: 0,
            sent: 0,
            last_read: Instant::now(),
            blocked_since: None,
            is_broken: false,
            reader: None,
            writer: None,
            task: None,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SocketState<IO>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO> SocketState<IO> {
    /// hyper writes the head of the response next. It has read `ahead` bytes behind the request.
    pub(super) fn begin(&mut self, io: Io<IO>, is_websocket: bool, ahead: usize) {
        self.io = Some(io);
        self.received = ahead as u64;
        self.output = ServiceOutput::Head { is_websocket };
    }

    /// The service has dropped its half.
    pub(super) fn end_service(&mut self) {
        self.service = ServiceState::Gone;
        wake(&mut self.task);
    }

    pub(super) fn is_service_gone(&self) -> bool {
        self.service == ServiceState::Gone
    }

    /// Ends the service's use of the socket.
    pub(super) fn take_io(&mut self) -> Option<Io<IO>> {
        let io = self.io.take();
        wake(&mut self.reader);
        wake(&mut self.writer);
        io
    }

    /// Whether the client has sent something that the service has not read.
    pub(super) fn has_unread(&self) -> bool {
        self.io.as_ref().is_some_and(Io::has_unread)
    }

    /// Whether the server can add frames of its own.
    pub(super) fn is_websocket(&self) -> bool {
        !matches!(self.output, ServiceOutput::Unknown)
    }

    /// Whether a ping that was to be sent is on its way.
    pub(super) fn was_pinged(&self) -> bool {
        match &self.output {
            ServiceOutput::Frames { due, .. } => due.is_none(),
            ServiceOutput::Unknown => false,
            ServiceOutput::Head { .. } | ServiceOutput::Discarded => true,
        }
    }

    /// Sends `frame` where the current frame of the service ends, unless a close frame was sent.
    pub(super) fn send(&mut self, frame: ControlFrame) {
        let ServiceOutput::Frames { frames, due } = &mut self.output else {
            return;
        };
        if frames.is_closing() || self.service != ServiceState::Open {
            // The service has closed by itself.
        } else if frames.is_at_boundary() {
            self.own.extend_from_slice(frame.bytes());
            if frame == ControlFrame::GoingAway {
                self.output = ServiceOutput::Discarded;
            }
        } else {
            *due = (*due).max(Some(frame));
        }
    }

    /// The task of the connection, which is woken when there is something for it to do.
    pub(super) fn set_task(&mut self, waker: &Waker) {
        keep(&mut self.task, waker);
    }

    /// Whether the connection's task has something to write.
    fn has_own(&self) -> bool {
        !self.own.is_empty() || self.is_flushing
    }
}

/// For the connection's task.
impl<IO: AsyncWrite + AsyncRead + Unpin> SocketState<IO> {
    /// Writes what the server itself sends.
    pub(super) fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
        if !self.own.is_empty() || self.is_flushing {
            let written = poll_write_all(io.inner_mut(), &mut self.own, cx);
            self.is_flushing = true;
            note_progress(&mut self.blocked_since, &written);
            ready!(written)?;
            self.is_flushing = false;
            wake(&mut self.writer);
        }
        if self.service == ServiceState::ShuttingDown {
            ready!(Pin::new(io.inner_mut()).poll_shutdown(cx))?;
            self.service = ServiceState::ShutDown;
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_write_all<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    bytes: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !bytes.is_empty() {
        match ready!(Pin::new(&mut *io).poll_write(cx, bytes))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            length => bytes.advance(length),
        }
    }
    Pin::new(io).poll_flush(cx)
}

/// For the service's half.
impl<IO: AsyncRead + Unpin> SocketState<IO> {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(closed()));
        };
        let before = buf.filled().len();
        let read = io.poll_read_upgraded(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => {
                self.received += (buf.filled().len() - before) as u64;
                self.last_read = Instant::now();
            }
            Poll::Ready(Err(_)) => self.is_broken = true,
            Poll::Pending => keep(&mut self.reader, cx.waker()),
        }
        read
    }
}

/// For the service's half. Before the response has begun, hyper writes its head.
impl<IO: AsyncRead + AsyncWrite + Unpin> SocketState<IO> {
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.service != ServiceState::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match &self.output {
            ServiceOutput::Head { .. } => {
                self.own.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            ServiceOutput::Discarded => return Poll::Ready(Ok(buf.len())),
            ServiceOutput::Frames {
                frames,
                due: Some(_),
            } => buf = &buf[..frames.rest_of_frame(buf)],
            ServiceOutput::Unknown | ServiceOutput::Frames { due: None, .. } => {}
        }
        ready!(self.poll_turn(cx));
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(closed()));
        };
        let written = Pin::new(io.inner_mut()).poll_write(cx, buf);
        match &written {
            Poll::Ready(Ok(length)) => self.add_sent(&buf[..*length]),
            Poll::Ready(Err(_)) => self.is_broken = true,
            Poll::Pending => keep(&mut self.writer, cx.waker()),
        }
        note_progress(&mut self.blocked_since, &written);
        written
    }

    /// The socket has taken these bytes of the service.
    fn add_sent(&mut self, bytes: &[u8]) {
        self.sent += bytes.len() as u64;
        if let ServiceOutput::Frames { frames, due } = &mut self.output {
            frames.advance(bytes);
            if frames.is_at_boundary()
                && let Some(due) = due.take()
            {
                self.send(due);
                wake(&mut self.task);
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let ServiceOutput::Head { is_websocket } = self.output {
            // hyper has written all of it.
            self.output = match is_websocket {
                true => ServiceOutput::Frames {
                    frames: FrameScanner::new(),
                    due: None,
                },
                false => ServiceOutput::Unknown,
            };
            return Poll::Ready(Ok(()));
        }
        self.poll_io(cx, AsyncWrite::poll_flush)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.service != ServiceState::Open {
            return Poll::Ready(Ok(()));
        }
        if matches!(self.output, ServiceOutput::Discarded) {
            self.service = ServiceState::ShuttingDown;
            wake(&mut self.task);
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_io(cx, AsyncWrite::poll_shutdown))?;
        self.service = ServiceState::ShutDown;
        Poll::Ready(Ok(()))
    }

    /// Does something with the socket when it is the service's turn.
    fn poll_io(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(closed()));
        };
        let polled = poll(Pin::new(io.inner_mut()), cx);
        if polled.is_pending() {
            keep(&mut self.writer, cx.waker());
        }
        polled
    }

    /// Waits until the connection's task has written what it has to write.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_own() {
            keep(&mut self.writer, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// The server has ended the connection.
fn closed() -> io::Error {
    let text = "the server has closed the upgraded connection";
    io::Error::new(io::ErrorKind::ConnectionAborted, text)
}

fn note_progress<T>(blocked_since: &mut Option<Instant>, written: &Poll<T>) {
    match written {
        Poll::Ready(_) => *blocked_since = None,
        Poll::Pending => {
            blocked_since.get_or_insert_with(Instant::now);
        }
    }
}

fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *kept = Some(waker.clone());
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = mem::take(waker) {
        waker.wake();
    }
}
