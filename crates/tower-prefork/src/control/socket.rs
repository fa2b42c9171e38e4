//! A socket that carries messages and file descriptors between two processes of a program.

use std::{
    env,
    io::{self, IoSlice, IoSliceMut},
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

use crate::listener::MAX_LISTENERS;

/// The longest message in bytes.
pub(super) const MAX_MESSAGE: usize = 64 << 10;

/// The most descriptors of a message: the listeners, and the contents of the certificate files.
const MAX_FDS: usize = MAX_LISTENERS + 1;

/// One end of a pair of sockets.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// A pair: the end of this process, which never blocks, and the end of the process that it starts.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok((Self(ours), theirs))
    }

    /// The end of this process, if it was started with this environment variable and a socket as its standard input.
    /// Afterwards standard input is `/dev/null`.
    pub(crate) fn inherited(marker: &str) -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if env::var_os(marker).is_none() || !is_control_socket(stdin.as_fd()) {
            return Ok(None);
        }
        let socket = stdin.as_fd().try_clone_to_owned()?;
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(null)?;
        Ok(Some(Self(socket)))
    }

    /// Sends a message with descriptors, without waiting: if the peer does not read, the error has the kind `WouldBlock`.
    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many descriptors for one message",
            ));
        }
        rustix::net::sendmsg(
            &self.0,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )?;
        Ok(())
    }

    /// The next message and its descriptors; `None` when the peer is gone. A message that cannot be parsed is an error of
    /// the kind `InvalidData`, and the next call returns the message after it.
    pub(crate) fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        let message = serde_json::from_slice(&bytes[..received.bytes])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((message, fds)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

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

    /// Sends a message with a descriptor, without waiting.
    #[cfg(feature = "tls")]
    pub(crate) fn send_with(&self, message: &impl Serialize, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.socket.send(message, &[fd])
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

/// The first message to this process, which stays in the socket. `None` if this process was not started with this
/// environment variable and a socket.
#[cfg(feature = "cli")]
pub(super) fn peek_inherited<T: DeserializeOwned>(marker: &str) -> Option<io::Result<T>> {
    let stdin = io::stdin();
    let is_inherited = env::var_os(marker).is_some() && is_control_socket(stdin.as_fd());
    is_inherited.then(|| peek(stdin.as_fd()))
}

#[cfg(feature = "cli")]
fn peek<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<T> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, length) = rustix::net::recv(socket, &mut bytes[..], flags)?;
    Ok(serde_json::from_slice(&bytes[..length])?)
}

fn is_control_socket(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::control::{ToSupervisor, ToWorker};

    fn pair() -> (Socket, Socket) {
        let (ours, theirs) = Socket::pair().unwrap();
        (ours, Socket(theirs))
    }

    #[test]
    fn a_start_carries_its_listeners() {
        let (supervisor, worker) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = ToWorker::Start {
            server: "shop".into(),
            slot: 3,
            config: serde_json::json!({"bind": ["8000"]}),
            passed: 0,
            redirects: 0,
            certificates: false,
        };
        supervisor.send(&start, &[listener.as_fd()]).unwrap();
        #[cfg(feature = "cli")]
        assert!(matches!(
            peek::<ToWorker>(worker.as_fd()).unwrap(),
            ToWorker::Start { config, .. } if config["bind"][0] == "8000"
        ));

        let (message, mut fds) = worker.recv::<ToWorker>().unwrap().unwrap();
        let ToWorker::Start {
            server,
            slot: 3,
            config,
            passed: 0,
            ..
        } = message
        else {
            panic!("{message:?}")
        };
        assert_eq!(server, "shop");
        assert_eq!(config["bind"][0], "8000");
        let same = TcpListener::from(fds.pop().unwrap());
        assert!(fds.is_empty());
        assert_eq!(same.local_addr().unwrap(), listener.local_addr().unwrap());
        let flags = rustix::io::fcntl_getfd(&same).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_end_is_no_error_and_no_message_is_would_block() {
        let (supervisor, worker) = pair();
        let nothing = supervisor.recv::<ToSupervisor>().unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        worker.send(&ToSupervisor::Ready, &[]).unwrap();
        drop(worker);
        assert!(supervisor.recv::<ToSupervisor>().unwrap().is_some());
        assert!(supervisor.recv::<ToSupervisor>().unwrap().is_none());
    }

    #[test]
    fn an_unknown_message_is_skipped() {
        let (supervisor, worker) = pair();
        worker.send(&"from the future", &[]).unwrap();
        worker.send(&ToSupervisor::Ready, &[]).unwrap();
        let unknown = supervisor.recv::<ToSupervisor>().unwrap_err();
        assert_eq!(unknown.kind(), io::ErrorKind::InvalidData);
        assert!(supervisor.recv::<ToSupervisor>().unwrap().is_some());
    }

    #[test]
    fn a_peer_that_does_not_read_never_blocks_the_sender() {
        let (supervisor, _worker) = pair();
        let drain = ToWorker::Drain { milliseconds: 1 };
        let error = (0..1_000_000).find_map(|_| supervisor.send(&drain, &[]).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
