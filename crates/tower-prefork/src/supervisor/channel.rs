use std::{io, os::fd::AsFd};

use tokio::{io::Interest, net::UnixStream};

use crate::control::{Socket, ToSupervisor, ToWorker};

/// The supervisor's end of a worker's control socket, on the event loop.
#[derive(Debug)]
pub(super) struct Channel {
    socket: Socket,
    /// The same socket again, only to wait for messages: tokio has no type for its kind.
    readiness: UnixStream,
    ended: bool,
}

impl Channel {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let same = socket.as_fd().try_clone_to_owned()?;
        Ok(Self {
            socket,
            readiness: UnixStream::from_std(same.into())?,
            ended: false,
        })
    }

    /// Sends a message without waiting.
    pub(super) fn send(&self, message: &ToWorker) -> io::Result<()> {
        self.socket.send(message, &[])
    }

    /// The next message that can be understood. After the worker has closed its end there is
    /// none, ever.
    pub(super) async fn recv(&mut self) -> ToSupervisor {
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
                    tracing::warn!(%error, "a worker sent a message that is not understood");
                }
                Ok(None) | Err(_) => self.ended = true,
            }
        }
        std::future::pending().await
    }

    /// The next message, if it is there already.
    pub(super) fn try_recv(&self) -> Option<ToSupervisor> {
        let (message, _) = self.socket.recv().ok()??;
        Some(message)
    }
}
