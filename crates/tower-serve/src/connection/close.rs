//! How a connection is closed.

use std::{error::Error, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{clock::Expiry, io::Io, progress::Progress};
use crate::error::error_text;

/// How long a client may go on sending after its answer.
const LINGER: Duration = Duration::from_secs(2);

/// The same while the worker stops.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(500);

/// How much of that is thrown away: a client that sends all of a large upload before it looks for an
/// answer should still see it.
const LINGER_BYTES: usize = 256 << 20;

const BUFFER: usize = 64 << 10;

/// Why no more is served on a connection.
#[derive(Debug)]
pub(super) enum End {
    /// hyper is done with it.
    Http(hyper::Result<()>),
    /// The response broke off in a panic.
    Broken,
    /// It is idle, and nothing that follows may be taken for a request.
    Tainted,
    Expired(Expiry),
}

impl End {
    /// The response broke off by itself.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Broken => true,
            Self::Http(result) => result.as_ref().is_err_and(hyper::Error::is_user),
            Self::Tainted | Self::Expired(_) => false,
        }
    }
}

/// Closes a connection as its end asks for. `more`: the client may still be sending.
pub(super) async fn finish<IO>(
    mut io: Io<IO>,
    end: End,
    more: bool,
    draining: bool,
    progress: &Progress,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match end {
        // A client that does not know yet of the end may be sending its next request.
        End::Http(Ok(())) | End::Expired(Expiry::Phase)
            if (more || draining) && !progress.eof() =>
        {
            linger(io.inner_mut(), draining).await;
        }
        End::Http(Ok(())) | End::Expired(Expiry::Phase) => close(io.inner_mut()).await,
        End::Tainted => linger(io.inner_mut(), draining).await,
        End::Http(Err(error)) if error.is_parse() => {
            tracing::debug!(
                error = error_text(&error),
                "a malformed request was refused"
            );
            linger(io.inner_mut(), draining).await;
        }
        End::Http(Err(error)) if error.is_user() => {
            // Otherwise the response body failed, which is in the log already.
            if error.is_body_write_aborted() {
                tracing::error!(
                    error = error_text(&error),
                    "the response is not whole; the connection is cut"
                );
            }
            fail(io.inner_mut(), more, draining, progress).await;
        }
        End::Http(Err(error)) => {
            // hyper takes it for a failed write when `io` has seen it.
            let error = error.source().unwrap_or(&error);
            tracing::debug!(error = error_text(error), "the client has gone");
        }
        End::Broken => fail(io.inner_mut(), more, draining, progress).await,
        End::Expired(Expiry::Write) => {
            tracing::debug!("the client takes nothing of its response; the connection is cut");
            progress.set_broken();
        }
    }
}

/// Closes a connection in the middle of a response.
async fn fail<IO>(io: &mut IO, more: bool, draining: bool, progress: &Progress)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    progress.set_failed();
    if progress.broken() {
        // It is reset.
    } else if more {
        linger(io, draining).await;
    } else {
        close(io).await;
    }
}

/// Closes a connection whose client has nothing more to send.
async fn close<IO: AsyncWrite + Unpin>(io: &mut IO) {
    // A client that is gone needs no goodbye.
    let _ = timeout(LINGER, io.shutdown()).await;
}

/// Closes a connection whose client may still be sending.
///
/// A socket that is closed with unread bytes is reset, and the reset can destroy the answer on its way. So
/// this ends the sending side first, and throws away what comes until the client closes, within limits.
async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, draining: bool) {
    let limit = if draining { LINGER_IN_DRAIN } else { LINGER };
    // At the limit, and for a client that is gone, there is nothing left to do but to close.
    let _ = timeout(limit, discard(io)).await;
}

async fn discard<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) -> io::Result<()> {
    io.shutdown().await?;
    let mut buffer = vec![0; BUFFER];
    let mut discarded = 0;
    while discarded < LINGER_BYTES {
        match io.read(&mut buffer).await? {
            0 => break,
            length => discarded += length,
        }
    }
    Ok(())
}
