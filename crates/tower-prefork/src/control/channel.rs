//! The control socket of a process on the event loop of another one.

use std::{io, marker::PhantomData, os::fd::AsFd};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

use super::Socket;

/// A [`Socket`] on the event loop. `T` is the type of the messages that it receives.
#[derive(Debug)]
pub(crate) struct Channel<T> {
    socket: Socket,
    /// A copy of the socket, only to wait for messages: tokio has no type for `SOCK_SEQPACKET`.
    readiness: UnixStream,
    ended: bool,
    received: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Channel<T> {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        let same = socket.as_fd().try_clone_to_owned()?;
        Ok(Self {
            socket,
            readiness: UnixStream::from_std(same.into())?,
            ended: false,
            received: PhantomData,
        })
    }

    /// Sends a message without waiting.
    pub(crate) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        self.socket.send(message, &[])
    }

    /// The next message that can be parsed. Pends for ever when the other process has closed its end.
    pub(crate) async fn recv(&mut self) -> T {
        while !self.ended {
            if self.readiness.readable().await.is_err() {
                break;
            }
            let received = self
                .readiness
                .try_io(Interest::READABLE, || self.socket.recv());
            match received {
                Ok(Some((message, _))) => return message,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "invalid message of another process ignored");
                }
                Ok(None) | Err(_) => self.ended = true,
            }
        }
        std::future::pending().await
    }

    /// The next message, if it has already arrived.
    pub(crate) fn try_recv(&self) -> Option<T> {
        let (message, _) = self.socket.recv().ok()??;
        Some(message)
    }
}
