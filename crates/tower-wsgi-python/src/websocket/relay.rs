//! The bytes between an application's socket and its client.

use std::{io, os::unix::net::UnixStream as BlockingStream, pin::pin, sync::mpsc, time::Duration};

use http::{Response, StatusCode, uri::PathAndQuery};
use hyper_util::rt::TokioIo;
use rustix::net::{Shutdown, shutdown};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, sink, split},
    net::UnixStream,
    select,
    sync::oneshot,
    time::{sleep, timeout},
};
use tower_server_info::ServerResponse;
use tower_wsgi::Body;

use super::{
    handshake::{InvalidHead, MAX_HEAD, head_length, parse},
    offer::Upgrade,
};

/// The size of the buffer of each direction, next to that of the socket pair.
const BUFFER: usize = 8 << 10;

/// Maximum time for the client to close the connection after the application has closed it.
const LINGER: Duration = Duration::from_secs(5);

/// Maximum time for the threads of a library to end after the application has returned: one may be about to reply to the
/// client's close frame.
const GRACE: Duration = Duration::from_secs(1);

/// What the application has done with its socket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// It wrote nothing.
    Unused,
    /// The client has its response: the `101` that it wrote, or a 500 if what it wrote is none.
    Responded,
}

/// Waits for the application's `101`, responds, and passes bytes both ways until both sides are done. `other` is the other
/// end of the application's socket, and `returned` is closed when the application has returned. When this future ends or is
/// dropped, so does the application's socket.
pub(super) async fn relay(
    other: BlockingStream,
    upgrade: Upgrade,
    verdict: mpsc::SyncSender<Verdict>,
    returned: oneshot::Receiver<()>,
) {
    let Upgrade {
        on_upgrade,
        mut response,
        target,
        ..
    } = upgrade;
    let opened = other
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(other));
    let mut application = match opened {
        Ok(application) => application,
        Err(error) => {
            tracing::error!(%error, "cannot serve a socket of an application");
            return;
        }
    };
    let mut bytes = Vec::with_capacity(1024);
    let head = select! {
        head = read_head(&mut application, &mut bytes) => head,
        // The client has left.
        () = response.closed() => return,
    };
    let (head, length) = match head {
        Ok(Some(head)) => head,
        Ok(None) => {
            // Before the response's sender is dropped, after which the application's response is awaited.
            let _ = verdict.send(Verdict::Unused);
            return;
        }
        Err(invalid) => {
            let path = target.as_ref().map_or("", PathAndQuery::path);
            tracing::error!(path, error = %invalid, "a WebSocket handshake failed");
            let _ = response.send(failed());
            let _ = verdict.send(Verdict::Responded);
            return;
        }
    };
    let is_awaited = response.send(head).is_ok();
    let _ = verdict.send(Verdict::Responded);
    if !is_awaited {
        return;
    }
    match on_upgrade.await {
        Ok(client) => {
            bytes.drain(..length);
            if let Err(error) = pump(&application, TokioIo::new(client), &bytes, returned).await {
                tracing::debug!(%error, "a WebSocket connection broke");
            }
        }
        Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
    }
}

fn failed() -> Response<Body> {
    ServerResponse::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server failed to handle the request.",
    )
    .into_response()
}

/// Reads until the end of a head, which is returned with its length; `None` if the application closes the socket without
/// a word.
async fn read_head(
    application: &mut UnixStream,
    bytes: &mut Vec<u8>,
) -> Result<Option<(Response<Body>, usize)>, InvalidHead> {
    while bytes.len() < MAX_HEAD {
        match application.read_buf(bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) if bytes.is_empty() => return Ok(None),
            Ok(0) | Err(_) => return Err(InvalidHead::Incomplete),
        }
        if let Some(length) = head_length(bytes) {
            return parse(&bytes[..length]).map(|head| Some((head, length)));
        }
    }
    Err(InvalidHead::TooLong)
}

/// Passes bytes both ways. `first` is what the application has sent already.
async fn pump<C>(
    application: &UnixStream,
    client: C,
    first: &[u8],
    mut returned: oneshot::Receiver<()>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let mut inward = pin!(inward(from_client, application));
    let mut outward = pin!(outward(application, to_client, first));
    let mut is_client_done = false;
    let mut grace = pin!(async {
        let _ = (&mut returned).await;
        sleep(GRACE).await;
    });
    let mut is_over = false;
    loop {
        select! {
            done = &mut inward, if !is_client_done => {
                // After an error there is no one to write to, either.
                done?;
                is_client_done = true;
            }
            () = &mut grace, if !is_over => {
                // What was sent is still read; threads of a library that receive or send are released.
                let _ = shutdown(application, Shutdown::Both);
                is_over = true;
            }
            done = &mut outward => {
                done?;
                break;
            }
        }
    }
    if !is_client_done {
        // Who closes with unread bytes resets the connection, and the client may lose what it has not read yet.
        let _ = timeout(LINGER, inward).await;
    }
    Ok(())
}

/// To the client, until the application's socket ends.
async fn outward(
    application: &UnixStream,
    mut client: impl AsyncWrite + Unpin,
    first: &[u8],
) -> io::Result<()> {
    client.write_all(first).await?;
    let mut buffer = vec![0; BUFFER];
    loop {
        // Otherwise an encrypted connection may keep what was written.
        client.flush().await?;
        application.readable().await?;
        match application.try_read(&mut buffer) {
            Ok(read @ 1..) => client.write_all(&buffer[..read]).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An error is that of a socket which was closed with unread bytes.
            Ok(0) | Err(_) => return client.shutdown().await,
        }
    }
}

/// To the application, until the client has sent its last byte.
async fn inward(mut client: impl AsyncRead + Unpin, application: &UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = client.read(&mut buffer).await?;
        if read == 0 {
            let _ = shutdown(application, Shutdown::Write);
            return Ok(());
        }
        if write_all(application, &buffer[..read]).await.is_err() {
            // The application does not read any more, but may have sent something that is under way.
            tokio::io::copy(&mut client, &mut sink()).await?;
            return Ok(());
        }
    }
}

async fn write_all(application: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        application.writable().await?;
        match application.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
