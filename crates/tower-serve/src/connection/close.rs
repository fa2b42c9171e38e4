//! How a connection is closed, after a response of its own if hyper could not read the request.

use std::{error::Error, future::poll_fn, io, pin::Pin, time::Duration};

use bytes::{Buf, Bytes};
use http::Response;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    deadlines::TimeoutKind,
    handle::{ConnectionHandle, ExchangeGuard},
    io::Io,
    server_response::to_bytes,
    upgrade::UpgradeEnd,
};
use crate::{Http, error::error_text};

/// How long a client may keep sending after its last response.
const LINGER: Duration = Duration::from_secs(2);

/// The same while the worker stops.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(500);

/// The number of bytes that are discarded meanwhile: a client that sends all of a large upload before it reads the
/// response should still get it.
const LINGER_BYTES: usize = 256 << 20;

/// The same for a client of HTTP/2, which sends no more than the windows of its connection allow before it waits for the server.
const LINGER_BYTES_OF_FRAMES: usize = 4 << 20;

const BUFFER: usize = 64 << 10;

/// Why a connection is taken back from hyper.
#[derive(Debug)]
pub(super) enum End {
    /// hyper is done with it.
    Http(hyper::Result<()>),
    /// The response panicked.
    Panic,
    /// It is idle, and nothing that follows may be taken for a request.
    FramingUnknown,
    TimedOut(TimeoutKind),
    /// It is idle, and the worker's table is full.
    RoomNeeded,
    /// The client has left.
    Gone,
    /// A client of HTTP/2 was sent GOAWAY, because of an error in what it has sent.
    GoneAway,
    /// It was upgraded.
    Upgraded(UpgradeEnd),
}

impl End {
    /// Whether the response failed on the side of the server.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Panic => true,
            Self::Http(result) => result.as_ref().is_err_and(hyper::Error::is_user),
            Self::FramingUnknown
            | Self::TimedOut(_)
            | Self::RoomNeeded
            | Self::Gone
            | Self::GoneAway
            | Self::Upgraded(_) => false,
        }
    }
}

/// A connection that is to be closed.
pub(super) enum Closing<IO: 'static> {
    /// After a response to what the client has `sent`, which hyper could not read.
    Refused {
        io: Io<IO>,
        response: Response<Bytes>,
        exchange: ExchangeGuard,
        sent: Vec<u8>,
    },
    /// `is_sending`: the client may still be sending.
    Ended {
        io: Io<IO>,
        end: End,
        is_sending: bool,
    },
    /// Nothing is left to close.
    Closed,
}

/// Closes a connection as its end asks for.
pub(super) async fn close<IO>(
    closing: Closing<IO>,
    handle: &ConnectionHandle,
    is_draining: bool,
    http: &Http,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match closing {
        Closing::Refused {
            mut io,
            response,
            exchange,
            sent,
        } => {
            let end = write_response(&mut io, response, &sent, exchange, http).await;
            close_after(end, &mut io, true, handle, is_draining).await;
        }
        Closing::Ended {
            mut io,
            end,
            is_sending,
        } => close_after(end, &mut io, is_sending, handle, is_draining).await,
        Closing::Closed => {}
    }
}

/// Writes `response` as the last one on its connection, to a client that has sent the bytes `sent`.
///
/// Returns how the connection ends.
async fn write_response<IO>(
    io: &mut Io<IO>,
    response: Response<Bytes>,
    sent: &[u8],
    mut exchange: ExchangeGuard,
    http: &Http,
) -> End
where
    IO: AsyncWrite + Unpin,
{
    let length = response.body().len();
    let written = exchange.handle().lock().output.written();
    let is_head = sent.trim_ascii_start().starts_with(b"HEAD ");
    if let Some(record) = exchange.record() {
        record.set_response(response.status(), Some(length as u64), written);
        record.add(if is_head { 0 } else { length });
        record.end();
    }
    let mut bytes = to_bytes(&response, is_head);
    while !bytes.is_empty() {
        let inner = io.inner_mut();
        let write = poll_fn(|cx| Pin::new(&mut *inner).poll_write(cx, &bytes));
        match timeout(http.write_timeout, write).await {
            Ok(Ok(0)) => return gone(&io::ErrorKind::WriteZero.into()),
            Ok(Ok(length)) => {
                exchange.handle().lock().output.add_written(length);
                bytes.advance(length);
            }
            Ok(Err(error)) => return gone(&error),
            Err(_) => return End::TimedOut(TimeoutKind::Write),
        }
    }
    match timeout(http.write_timeout, io.inner_mut().flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return gone(&error),
        Err(_) => return End::TimedOut(TimeoutKind::Write),
    }
    let handle = exchange.handle().clone();
    drop(exchange);
    handle.lock().set_sent();
    End::Http(Ok(()))
}

fn gone(error: &io::Error) -> End {
    tracing::debug!(error = error_text(error), "the client has gone");
    End::Gone
}

async fn close_after<IO>(
    end: End,
    io: &mut Io<IO>,
    is_sending: bool,
    handle: &ConnectionHandle,
    is_draining: bool,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match end {
        // A client that has not learned of the end yet may be sending its next request.
        End::Http(Ok(()))
        | End::TimedOut(TimeoutKind::Request)
        | End::RoomNeeded
        | End::Upgraded(UpgradeEnd::Finished)
            if (is_sending || is_draining) && !handle.input().is_closed() =>
        {
            linger(io.inner_mut(), is_draining, LINGER_BYTES).await;
        }
        End::Http(Ok(()))
        | End::TimedOut(TimeoutKind::Request)
        | End::RoomNeeded
        | End::Upgraded(UpgradeEnd::Finished) => {
            shut_down(io.inner_mut()).await;
        }
        End::FramingUnknown => linger(io.inner_mut(), is_draining, LINGER_BYTES).await,
        End::GoneAway => linger(io.inner_mut(), is_draining, LINGER_BYTES_OF_FRAMES).await,
        End::Http(Err(error)) if error.is_parse() => {
            tracing::debug!(
                error = error_text(&error),
                "a malformed request was refused"
            );
            linger(io.inner_mut(), is_draining, LINGER_BYTES).await;
        }
        End::Http(Err(error)) if error.is_user() => {
            // Otherwise the response body failed, which is in the log already.
            if error.is_body_write_aborted() {
                tracing::error!(
                    error = error_text(&error),
                    "the response is not whole; the connection is cut"
                );
            }
            fail(io.inner_mut(), is_sending, is_draining, handle).await;
        }
        End::Http(Err(error)) => {
            // hyper takes it for a failed write when `io` has seen it.
            let error = error.source().unwrap_or(&error);
            tracing::debug!(error = error_text(error), "the client has gone");
        }
        End::Gone | End::Upgraded(UpgradeEnd::Gone) => {}
        End::Upgraded(UpgradeEnd::Idle) => {
            tracing::debug!("the client of an upgraded connection is silent; it is cut");
        }
        End::Upgraded(UpgradeEnd::Stalled) => {
            tracing::debug!("the client of an upgraded connection takes nothing; it is cut");
            handle.lock().reset_on_close();
        }
        End::Panic => fail(io.inner_mut(), is_sending, is_draining, handle).await,
        End::TimedOut(TimeoutKind::Write) => {
            tracing::debug!("the client takes nothing of its response; the connection is cut");
            handle.lock().reset_on_close();
        }
    }
}

/// Closes a connection in the middle of a response.
async fn fail<IO>(io: &mut IO, is_sending: bool, is_draining: bool, handle: &ConnectionHandle)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let is_reset = {
        let mut state = handle.lock();
        state.set_response_failed();
        state.is_reset_on_close()
    };
    if is_reset {
        // When it is dropped.
    } else if is_sending {
        linger(io, is_draining, LINGER_BYTES).await;
    } else {
        shut_down(io).await;
    }
}

/// Closes a connection whose client has nothing more to send.
async fn shut_down<IO: AsyncWrite + Unpin>(io: &mut IO) {
    // A client that is gone needs no goodbye.
    let _ = timeout(LINGER, io.shutdown()).await;
}

/// Closes a connection whose client may still be sending.
///
/// A socket that is closed with unread bytes is reset, and the reset can destroy the response on its way. So
/// this ends the sending side first, and throws away what comes until the client closes, within limits.
async fn linger<IO>(io: &mut IO, is_draining: bool, bytes: usize)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let limit = if is_draining { LINGER_IN_DRAIN } else { LINGER };
    // At the limit, and for a client that is gone, there is nothing left to do but to close.
    let _ = timeout(limit, discard(io, bytes)).await;
}

async fn discard<IO>(io: &mut IO, bytes: usize) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    io.shutdown().await?;
    let mut buffer = vec![0; BUFFER];
    let mut discarded = 0;
    while discarded < bytes {
        match io.read(&mut buffer).await? {
            0 => break,
            length => discarded += length,
        }
    }
    Ok(())
}
