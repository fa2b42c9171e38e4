//! The listeners of a worker: waiting for connections, and accepting one.

use std::{io, net::SocketAddr, os::fd::OwnedFd, time::Duration};

use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
        poll,
    },
    io::{Errno, retry_on_intr},
    net::SocketFlags,
};
use tower_serve::ConnectInfo;

use crate::{
    listener::{Listener, LocalAddress},
    worker::connection_limit::{ConnectionLimit, ConnectionPermit},
};

/// The epoll's data of the wake-up; that of a listener is its index.
const WAKE: u64 = u64::MAX;

/// The listeners of a worker in an epoll of its own. With `EPOLLEXCLUSIVE` a connection wakes one of the workers that wait.
#[derive(Debug)]
pub(super) struct ListenerSet {
    listeners: Vec<Listener>,
    epoll: OwnedFd,
    /// The listeners are in the epoll.
    joined: bool,
}

impl ListenerSet {
    /// The worker has not joined yet. Every wait also ends when the limit wakes the thread.
    pub(super) fn new(listeners: Vec<Listener>, limit: &ConnectionLimit) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, limit, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            listeners,
            epoll,
            joined: false,
        })
    }

    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// A spare descriptor, to be closed when another one is needed.
    pub(super) fn spare(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.epoll, 0)?)
    }

    /// Joins the workers that wait for connections, at the end of the kernel's queue.
    pub(super) fn join(&mut self) -> io::Result<()> {
        if self.joined {
            return Ok(());
        }
        self.joined = true;
        for (index, listener) in self.listeners.iter().enumerate() {
            let data = EventData::new_u64(index as u64);
            epoll::add(
                &self.epoll,
                listener,
                data,
                EventFlags::IN | EventFlags::EXCLUSIVE,
            )?;
        }
        Ok(())
    }

    /// Leaves the workers that wait for connections.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if !self.joined {
            return Ok(());
        }
        self.joined = false;
        for listener in &self.listeners {
            match epoll::delete(&self.epoll, listener) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for a connection, if joined, or for a wake-up. Returns the listeners that have a connection.
    pub(super) fn wait(
        &self,
        limit: &ConnectionLimit,
        timeout: Option<Duration>,
    ) -> io::Result<Vec<usize>> {
        let mut events = Vec::with_capacity(self.listeners.len() + 1);
        let timeout = timeout.map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::new();
        for event in events {
            match event.data.u64() {
                WAKE => limit.woken(),
                listener => ready.extend(usize::try_from(listener).ok()),
            }
        }
        Ok(ready)
    }

    /// Whether a connection waits at any listener.
    pub(super) fn has_waiting(&self) -> io::Result<bool> {
        let mut fds = self.fds();
        let waiting = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())))?;
        Ok(waiting > 0)
    }

    /// Whether a connection waits at this listener.
    pub(super) fn is_waiting(&self, listener: usize) -> bool {
        let mut fds = [PollFd::new(&self.listeners[listener], PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, Some(&Timespec::default()))).is_ok_and(|ready| ready > 0)
    }

    /// Waits for a connection without joining, so other workers are woken for it as well, or for a wake-up.
    pub(super) fn wait_for_any(&self, limit: &ConnectionLimit) -> io::Result<()> {
        let mut fds = self.fds();
        fds.push(PollFd::new(limit, PollFlags::IN));
        retry_on_intr(|| poll(&mut fds, None))?;
        if fds.pop().is_some_and(|limit| !limit.revents().is_empty()) {
            limit.woken();
        }
        Ok(())
    }

    fn fds(&self) -> Vec<PollFd<'_>> {
        let listeners = self.listeners.iter();
        listeners
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect()
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// A connection that was accepted.
#[derive(Debug)]
pub(in crate::worker) struct Accepted {
    pub(in crate::worker) stream: Stream,
    pub(in crate::worker) connection: ConnectInfo,
    pub(in crate::worker) permit: ConnectionPermit,
    /// Whether the client is redirected to HTTPS.
    pub(in crate::worker) redirects: bool,
}

/// The socket of an accepted connection.
#[derive(Debug)]
pub(in crate::worker) enum Stream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Accepts one connection without waiting.
pub(super) fn accept(listener: &Listener) -> Result<(Stream, ConnectInfo), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let local = match listener.local() {
        LocalAddress::Tcp(local) => *local,
        LocalAddress::Unix(path) => {
            return Ok((Stream::Unix(fd.into()), ConnectInfo::unix(path.clone())));
        }
    };
    let stream = std::net::TcpStream::from(fd);
    // A small response must not wait for the acknowledgement of the previous one.
    let _ = stream.set_nodelay(true);
    let local = if local.ip().is_unspecified() {
        // It is unknown only if the client has already gone.
        stream.local_addr().map_err(|_| Errno::CONNABORTED)?
    } else {
        local
    };
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    let peer = peer.ok_or(Errno::CONNABORTED)?;
    let connection = ConnectInfo::tcp(canonical(local), canonical(peer));
    Ok((Stream::Tcp(stream), connection))
}

/// The IPv4 address of an IPv4 client of a socket for both families.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether the error concerns the connection or its network, and not this process: see the errors of accept(2).
pub(super) fn is_connection_error(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::TIMEDOUT
    )
}
