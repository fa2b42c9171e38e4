//! The messages between the supervisor and a worker.
//!
//! They travel as JSON over a pair of connected sockets that keep messages apart
//! (`SOCK_SEQPACKET`). The worker finds its end as its standard input. When one side dies, the
//! other reads the end of the stream.

use std::{
    env,
    io::{self, IoSlice, IoSliceMut},
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
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    config::{Config, ResolvedConfig, WireConfig},
    error::Reason,
    listener::MAX_LISTENERS,
};

/// Set in a worker's environment. A program that the worker starts inherits it, but not the
/// socket, and so is no worker.
pub(crate) const MARKER: &str = "TOWER_PREFORK_WORKER";

/// Bytes of a message.
const MAX_MESSAGE: usize = 64 << 10;

/// Bytes of an error's line and details; escaped as JSON they still fit into a message.
const MAX_LINE: usize = 2 << 10;
const MAX_DETAILS: usize = 8 << 10;

/// What the supervisor tells a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The first message: become this worker of this server, with these settings. Its listeners
    /// come with it.
    Start {
        server: String,
        slot: usize,
        config: WireConfig,
        /// A bit for each listener that the service manager has passed.
        #[serde(default)]
        passed: u64,
    },
    /// The program will stop: serve on, and answer that new requests had better go elsewhere.
    NotReady,
    /// Open the files of the logs again.
    ReopenLogs,
    /// The program stops: serve what the kernel has queued, finish what runs, and end within
    /// this time.
    Drain { milliseconds: u64 },
    /// Another worker takes over: leave what is queued to others, finish what runs, and end within
    /// this time. Idle connections are closed after the second one. Nobody else will serve what is
    /// queued at the listeners that have a bit in `queues`.
    Retire {
        milliseconds: u64,
        idle_milliseconds: u64,
        queues: u64,
    },
    /// Siblings have room: let the next responses of so many connections be their last.
    Shed { connections: usize },
}

impl ToWorker {
    /// Checks that the settings of each server fit into the message to its workers. The error is a sentence for the
    /// operator.
    pub(crate) fn check_starts(servers: &[ResolvedConfig]) -> Result<(), String> {
        servers.iter().try_for_each(|server| {
            let name = server.server();
            Self::check_start(name, &server.config).map_err(|problem| format!("{name}: {problem}"))
        })
    }

    /// Checks that the settings of a server fit into the message to its workers. The error is a sentence for the
    /// operator.
    pub(crate) fn check_start(server: &str, config: &Config) -> Result<(), String> {
        let start = Self::Start {
            server: server.to_owned(),
            slot: usize::MAX,
            config: config.into(),
            passed: u64::MAX,
        };
        let bytes = serde_json::to_vec(&start)
            .map_err(|error| format!("cannot send the settings to a worker: {error}"))?;
        if bytes.len() > MAX_MESSAGE {
            return Err(format!(
                "the settings are too long to send them to a worker: {} bytes, of at most {MAX_MESSAGE}; \
                 choose fewer or shorter addresses, paths and certificates",
                bytes.len()
            ));
        }
        Ok(())
    }
}

/// What a worker counts, for the operator and for the supervisor's decisions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Vitals {
    /// Open connections.
    pub(crate) connections: usize,
    /// Requests that are running.
    pub(crate) in_flight: usize,
    /// Requests since the start.
    pub(crate) requests: u64,
    /// Requests that wait for a thread.
    pub(crate) queued: usize,
    /// Requests since the start that were refused because there was no room for them.
    pub(crate) refused: u64,
    /// How long the oldest job has been on its thread.
    pub(crate) oldest_job_ms: Option<u64>,
    /// Bytes of resident memory.
    pub(crate) rss: u64,
}

/// What a worker tells the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// The service is built.
    Ready,
    /// The service cannot be built; the worker ends.
    Failed { reason: Reason },
    /// The event loop is alive. Sent once a second.
    Heartbeat(Vitals),
    /// Replace this worker, for this reason: it goes on until another serves in its place. `stuck`: a
    /// thread of it does not come back, and so may soon be all of them.
    Spent { reason: String, stuck: bool },
    /// The drain's deadline is over, and this many requests did not finish.
    Cut { requests: usize },
}

impl ToSupervisor {
    /// A failure, its text cut to what fits into a message.
    pub(crate) fn failed(mut reason: Reason) -> Self {
        let Reason { line, details } = &mut reason;
        let mut cuts = (0..=MAX_LINE.min(line.len())).rev();
        let end = cuts.find(|cut| line.is_char_boundary(*cut));
        line.truncate(end.unwrap_or(0));
        // What went wrong stands at the end of a traceback.
        let mut cuts = details.len().saturating_sub(MAX_DETAILS)..;
        let start = cuts.find(|cut| details.is_char_boundary(*cut));
        details.drain(..start.unwrap_or(0));
        Self::Failed { reason }
    }
}

/// One end of the pair.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// A pair: the supervisor's end, which never blocks, and the worker's end.
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

    /// This process's end, when it was started with this variable and one. Afterwards standard input is
    /// empty.
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

    /// Sends a message with some descriptors, without waiting: a peer that does not read gets
    /// an error of the kind `WouldBlock`.
    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
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

    /// The next message and its descriptors; `None` when the peer is gone. What cannot be
    /// understood is an error of the kind `InvalidData`, and the next call goes on behind it.
    pub(crate) fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
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

/// What this process will find in its first message, when it is a worker.
#[cfg(feature = "cli")]
pub(crate) fn announced() -> Option<Config> {
    let stdin = io::stdin();
    let is_worker = env::var_os(MARKER).is_some() && is_control_socket(stdin.as_fd());
    is_worker.then(|| peek(stdin.as_fd()).unwrap_or_default())
}

/// Looks at the first message, and leaves it there.
#[cfg(feature = "cli")]
fn peek(socket: BorrowedFd<'_>) -> Option<Config> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, length) = rustix::net::recv(socket, &mut bytes[..], flags).ok()?;
    match serde_json::from_slice(&bytes[..length]) {
        Ok(ToWorker::Start { config, .. }) => Some(config.into()),
        _ => None,
    }
}

fn is_control_socket(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

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
            config: (&Config {
                bind: vec!["8000".into()],
                ..Config::default()
            })
                .into(),
            passed: 0,
        };
        supervisor.send(&start, &[listener.as_fd()]).unwrap();
        #[cfg(feature = "cli")]
        assert_eq!(peek(worker.as_fd()).unwrap().bind, ["8000"]);

        let (message, mut fds) = worker.recv::<ToWorker>().unwrap().unwrap();
        let ToWorker::Start {
            server,
            slot: 3,
            config,
            passed: 0,
        } = message
        else {
            panic!("{message:?}")
        };
        assert_eq!(
            (&*server, &*Config::from(config).bind),
            ("shop", &["8000".to_owned()][..])
        );
        let same = TcpListener::from(fds.pop().unwrap());
        assert!(fds.is_empty());
        assert_eq!(same.local_addr().unwrap(), listener.local_addr().unwrap());
        let flags = rustix::io::fcntl_getfd(&same).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_end_is_no_error_and_nothing_is_would_block() {
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
    fn the_longest_error_fits() {
        let (supervisor, worker) = pair();
        let text = "\u{1}é".repeat(MAX_DETAILS);
        let message = ToSupervisor::failed(Reason {
            line: text.clone(),
            details: text,
        });
        worker.send(&message, &[]).unwrap();
        assert!(supervisor.recv::<ToSupervisor>().unwrap().is_some());
    }

    #[test]
    fn a_peer_that_does_not_read_costs_no_wait() {
        let (supervisor, _worker) = pair();
        let drain = ToWorker::Drain { milliseconds: 1 };
        let error = (0..1_000_000).find_map(|_| supervisor.send(&drain, &[]).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
