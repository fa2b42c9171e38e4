//! The connection of one socket, on the event loop: reads frames into the inbox, and writes those of the outbox.

use std::{
    future::{Future as _, poll_fn},
    io::{self, Read, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_tungstenite::tungstenite::{
    error::Error as FrameError,
    protocol::{Message, Role, WebSocketConfig, WebSocketContext},
};

use super::{
    close::CloseReason,
    frame::close_frame,
    output::Output,
    socket::{EventSocket, Outgoing, SocketEvent},
};

/// How long the server waits for the client's part of a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The buffer that each connection keeps for what it reads: an idle one is to be small.
const READ_BUFFER: usize = 4 << 10;

/// While this number of bytes waits to be written, no more frames are taken from the outbox, and nothing is read, since
/// what is read may need a reply.
const MAX_OUTPUT: usize = 16 << 10;

/// Serves the socket until its connection has ended. Returns why.
pub(super) async fn serve<I>(
    io: I,
    socket: &Arc<EventSocket>,
    max_message_size: usize,
) -> CloseReason
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_size))
        .max_frame_size(Some(max_message_size));
    let mut connection = FrameConnection {
        io,
        frames: WebSocketContext::new(Role::Server, Some(config)),
        output: Output::default(),
        phase: ConnectionPhase::Open,
    };
    poll_fn(|cx| connection.poll(cx, socket)).await
}

struct FrameConnection<I> {
    io: I,
    frames: WebSocketContext,
    output: Output,
    phase: ConnectionPhase,
}

enum ConnectionPhase {
    Open,
    /// The server has sent a close frame with this reason, and waits for the client's.
    CloseSent(CloseReason, Pin<Box<Sleep>>),
    /// The client has sent a close frame with this reason.
    CloseReceived(CloseReason),
    /// Nothing more is read, and the connection ends when everything is written.
    Finishing(CloseReason, Pin<Box<Sleep>>),
    /// The same after an error of the client. What it still sends is discarded: otherwise the system would reset the
    /// connection, and the client might not read why it was closed.
    Discarding(CloseReason, Pin<Box<Sleep>>),
}

/// What a step has found.
enum Step {
    /// There may be more to do.
    Again,
    /// The wakers of all that it waits for are registered.
    Waits,
}

impl<I> FrameConnection<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>, socket: &Arc<EventSocket>) -> Poll<CloseReason> {
        socket.register(cx.waker());
        loop {
            let has_taken_all = self.take_outgoing(socket);
            let written = match self.output.poll_write(&mut self.io, cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(self.broken()),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if self.is_late(cx) {
                return Poll::Ready(CloseReason::ABNORMAL);
            }
            let step = match &self.phase {
                ConnectionPhase::Open if self.output.len() >= MAX_OUTPUT || !socket.may_read() => {
                    Step::Waits
                }
                ConnectionPhase::CloseSent(..) if self.output.len() >= MAX_OUTPUT => Step::Waits,
                ConnectionPhase::Open
                | ConnectionPhase::CloseSent(..)
                | ConnectionPhase::CloseReceived(_) => match self.read(cx, socket) {
                    Ok(step) => step,
                    Err(reason) => return Poll::Ready(reason),
                },
                ConnectionPhase::Finishing(..) if !written => Step::Waits,
                ConnectionPhase::Finishing(reason, _) => {
                    let reason = reason.clone();
                    // The connection ends in any case.
                    let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
                    return Poll::Ready(reason);
                }
                ConnectionPhase::Discarding(reason, _) => {
                    let reason = reason.clone();
                    if written {
                        let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
                    }
                    ready!(self.poll_discard(cx));
                    return Poll::Ready(reason);
                }
            };
            // If everything was written, there is room for what has not been taken, and for replies to what was read.
            let may_write = written && !(has_taken_all && self.output.is_empty());
            if let Step::Waits = step
                && !may_write
            {
                return Poll::Pending;
            }
        }
    }

    /// Takes frames from the outbox while there is room for them. Returns whether it has taken all.
    fn take_outgoing(&mut self, socket: &Arc<EventSocket>) -> bool {
        while matches!(self.phase, ConnectionPhase::Open) && self.output.len() < MAX_OUTPUT {
            match socket.next_outgoing() {
                Some(Outgoing::Frame(frame)) => self.output.push(frame),
                Some(Outgoing::Close(reason)) => {
                    let mut stream = Stream::without_input(&mut self.output);
                    // It writes into memory.
                    let _ = self.frames.close(&mut stream, Some(reason.to_frame()));
                    self.phase = ConnectionPhase::CloseSent(reason, deadline());
                }
                None => return true,
            }
        }
        // After a close nothing is taken.
        !matches!(self.phase, ConnectionPhase::Open)
    }

    /// Reads one frame.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Arc<EventSocket>,
    ) -> Result<Step, CloseReason> {
        let mut stream = Stream {
            input: Some((&mut self.io, cx)),
            output: &mut self.output,
        };
        match self.frames.read(&mut stream) {
            Ok(message) => {
                self.received(message, socket);
                Ok(Step::Again)
            }
            Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Step::Waits)
            }
            Err(FrameError::ConnectionClosed | FrameError::AlreadyClosed) => {
                let reason = self.reason();
                self.phase = ConnectionPhase::Finishing(reason, deadline());
                Ok(Step::Again)
            }
            Err(error) => {
                let Some(reason) = CloseReason::of_frame_error(&error) else {
                    return Err(self.broken());
                };
                socket.closing();
                if let ConnectionPhase::Open = self.phase {
                    self.output.push(close_frame(reason.code, &reason.text));
                }
                self.phase = ConnectionPhase::Discarding(reason, deadline());
                Ok(Step::Again)
            }
        }
    }

    fn received(&mut self, message: Message, socket: &Arc<EventSocket>) {
        match message {
            Message::Text(text) => socket.deliver(SocketEvent::Text(text)),
            Message::Binary(data) => socket.deliver(SocketEvent::Binary(data)),
            Message::Ping(data) => socket.deliver(SocketEvent::Ping(data)),
            Message::Pong(data) => socket.deliver(SocketEvent::Pong(data)),
            Message::Close(frame) => {
                socket.closing();
                if let ConnectionPhase::Open = self.phase {
                    self.phase = ConnectionPhase::CloseReceived(frame.into());
                }
            }
            // Only for those who write frames.
            Message::Frame(_) => {}
        }
    }

    /// Why the socket is closed, after both close frames.
    fn reason(&self) -> CloseReason {
        match &self.phase {
            ConnectionPhase::Open => CloseReason::ABNORMAL,
            ConnectionPhase::CloseSent(reason, _)
            | ConnectionPhase::CloseReceived(reason)
            | ConnectionPhase::Finishing(reason, _)
            | ConnectionPhase::Discarding(reason, _) => reason.clone(),
        }
    }

    /// Why the socket is closed, when the connection has ended early.
    fn broken(&self) -> CloseReason {
        match &self.phase {
            ConnectionPhase::Open | ConnectionPhase::CloseSent(..) => CloseReason::ABNORMAL,
            _ => self.reason(),
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.phase {
            ConnectionPhase::Open | ConnectionPhase::CloseReceived(_) => false,
            ConnectionPhase::CloseSent(_, deadline)
            | ConnectionPhase::Finishing(_, deadline)
            | ConnectionPhase::Discarding(_, deadline) => deadline.as_mut().poll(cx).is_ready(),
        }
    }

    /// Discards what the client still sends, until it closes its side.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

fn deadline() -> Pin<Box<Sleep>> {
    Box::pin(sleep(CLOSE_TIMEOUT))
}

/// What tungstenite reads from and writes to. It never waits: what it writes is kept for the connection.
struct Stream<'a, 'b, I> {
    input: Option<(&'a mut I, &'a mut Context<'b>)>,
    output: &'a mut Output,
}

impl<'a> Stream<'a, '_, tokio::io::Empty> {
    fn without_input(output: &'a mut Output) -> Self {
        Self {
            input: None,
            output,
        }
    }
}

impl<I: AsyncRead + Unpin> Read for Stream<'_, '_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((io, cx)) = &mut self.input else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut **io).poll_read(cx, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<I> Write for Stream<'_, '_, I> {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.output.extend(frames);
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
