//! Drives a connection of HTTP/2: hyper, its streams, and the deadlines.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    exchange::StreamService,
    guard::Guarded,
    io::{FrameIo, FrameIoOwner},
    streams::{Spawner, Streams},
};
use crate::{
    Http, HttpService,
    connection::{
        close::{Closing, End},
        deadlines::{DeadlineEvent, Deadlines, TimeoutKind},
        exchange::ExchangeService,
        handle::ConnectionHandle,
        io::Io,
        table::WaitsFor,
    },
    error::{error_text, panic_text},
};

/// The flow-control windows for request bodies: what a client may send of one, and of all on its connection, before the
/// service reads it. An upload gets a window per round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;

/// The bytes of a response that may wait for the socket, beside those of other streams.
const SEND_BUFFER: usize = 64 << 10;

/// A client that has sent nothing for this time gets a ping, and is cut if it does not acknowledge it in the
/// [`write_timeout`](Http::write_timeout): no reset tells that a machine has gone.
const PING_AFTER: Duration = Duration::from_secs(30);

type Hyper<IO, S> = http2::Connection<TokioIo<Guarded<FrameIo<IO>>>, StreamService<S>, Spawner>;

/// A connection that speaks HTTP/2. Its parts are dropped in this order.
pub(in crate::connection) struct Http2Connection<IO: 'static, S: HttpService> {
    hyper: Hyper<IO, S>,
    streams: Streams,
    io: FrameIoOwner<IO>,
    /// GOAWAY was sent, or is about to be: no new streams are wanted.
    is_leaving: bool,
}

impl<IO, S> Http2Connection<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    pub(in crate::connection) fn new(
        io: Io<IO>,
        exchanges: ExchangeService<S>,
        http: &Http,
    ) -> Self {
        let streams = Streams::new(http.write_timeout);
        let spawner = streams.spawner();
        io.handle().lock().begin_frames();
        let (frames, io) = FrameIo::new(io);
        let frames = TokioIo::new(Guarded::new(frames));
        let hyper = http2::Builder::new(spawner.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(http.write_timeout)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .enable_connect_protocol()
            .max_concurrent_streams(http.max_concurrent_streams)
            .max_header_list_size(u32::try_from(http.max_header_size).unwrap_or(u32::MAX))
            .serve_connection(frames, StreamService::new(exchanges, spawner));
        Self {
            hyper,
            streams,
            io,
            is_leaving: false,
        }
    }

    /// Serves streams until the connection ends.
    pub(in crate::connection) fn poll_end(
        &mut self,
        deadlines: &mut Deadlines,
        handle: &ConnectionHandle,
        http: &Http,
        cx: &mut Context<'_>,
    ) -> Poll<End> {
        loop {
            self.leave_if_due(deadlines, handle);
            if let Poll::Ready(end) = self.poll_streams(cx) {
                return Poll::Ready(end);
            }
            let mut state = handle.lock();
            deadlines.observe(&mut state, handle, cx.waker());
            let is_due = state.is_closing() && !self.is_leaving && !deadlines.is_new();
            let room_needed = handle.entry().take_close_request() && deadlines.is_waiting();
            if is_due || room_needed && !self.is_leaving {
                drop(state);
                self.leave(deadlines, handle);
                continue;
            }
            match ready!(deadlines.poll_event(http, &mut state.timer, cx)) {
                DeadlineEvent::TimedOut(TimeoutKind::Request) if deadlines.may_stay_idle(http) => {
                    deadlines.set_checked();
                    handle.set_waiting(WaitsFor::NextRequest);
                }
                DeadlineEvent::TimedOut(TimeoutKind::Request) if !self.is_leaving => {
                    drop(state);
                    self.leave(deadlines, handle);
                }
                DeadlineEvent::TimedOut(kind) => return Poll::Ready(End::TimedOut(kind)),
                DeadlineEvent::CheckClient => {}
            }
        }
    }

    /// The worker may have begun to drain since the last turn. A new connection has a moment for its first request.
    fn leave_if_due(&mut self, deadlines: &mut Deadlines, handle: &ConnectionHandle) {
        if !deadlines.is_draining() {
        } else if self.is_leaving {
            deadlines.keep_leaving();
        } else if !deadlines.is_new() {
            self.leave(deadlines, handle);
        }
    }

    /// Begins the way out: GOAWAY tells the client to open no more streams. Those that it has opened before it knew are
    /// served; hyper waits for a round trip, and ends the connection with the last of them.
    fn leave(&mut self, deadlines: &mut Deadlines, handle: &ConnectionHandle) {
        self.is_leaving = true;
        deadlines.leave(handle.lock().read());
        handle.entry().set_busy();
        Pin::new(&mut self.hyper).graceful_shutdown();
    }

    /// Lets hyper and the streams work while there is something to do. A panic that gets through ends this connection and
    /// nothing else.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let poll = catch_unwind(AssertUnwindSafe(|| {
            loop {
                if let Poll::Ready(end) = Pin::new(&mut self.hyper).poll(cx) {
                    return Poll::Ready(end);
                }
                if !self.streams.poll(cx) {
                    return Poll::Pending;
                }
            }
        }));
        match poll {
            Ok(poll) => poll.map(End::Http),
            Err(panic) => {
                let panic = panic_text(&*panic);
                tracing::error!(panic, "a stream panicked; the connection is cut");
                Poll::Ready(End::Panic)
            }
        }
    }

    /// Takes the socket back from hyper. What is unfinished on its streams is lost.
    pub(in crate::connection) fn into_closing(
        self,
        end: End,
        handle: &ConnectionHandle,
    ) -> Closing<IO> {
        let Self {
            hyper, streams, io, ..
        } = self;
        drop(hyper);
        drop(streams);
        let end = match end {
            // hyper has sent GOAWAY with the reason, which a reset could destroy.
            End::Http(Err(error)) => {
                let error = error_text(&error);
                tracing::debug!(error, "the HTTP/2 connection has failed");
                End::GoneAway
            }
            end => end,
        };
        match io.take() {
            Some(io) => Closing::Ended {
                io,
                end,
                is_sending: !handle.input().is_closed(),
            },
            None => Closing::Closed,
        }
    }
}
