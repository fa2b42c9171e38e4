use std::{io, marker::PhantomData, os::fd::AsFd};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

use crate::control::Socket;

/// The supervisor's end of a socket to another process of the program, on the event loop. `T` is what comes
/// from there.
#[derive(Debug)]
pub(super) struct Channel<T> {
    socket: Socket,
    /// The same socket again, only to wait for messages: tokio has no type for its kind.
    readiness: UnixStream,
    ended: bool,
    received: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Channel<T> {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let same = socket.as_fd().try_clone_to_owned()?;
        Ok(Self {
            socket,
            readiness: UnixStream::from_std(same.into())?,
            ended: false,
            received: PhantomData,
        })
    }

    /// Sends a message without waiting.
    pub(super) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        self.socket.send(message, &[])
    }

    /// The next message that can be understood. After the other process has closed its end there is
    /// none, ever.
    pub(super) async fn recv(&mut self) -> T {
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
                    tracing::warn!(%error, "a message of another process is not understood");
                }
                Ok(None) | Err(_) => self.ended = true,
            }
        }
        std::future::pending().await
    }

    /// The next message, if it is there already.
    pub(super) fn try_recv(&self) -> Option<T> {
        let (message, _) = self.socket.recv().ok()??;
        Some(message)
    }
}
