use std::net::SocketAddr;

use rustix::{io::Errno, net::SocketFlags};

use super::gate::Permit;
use crate::listener::{Listener, Local};
use tower_serve::ConnectInfo;

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) connection: ConnectInfo,
    pub(super) permit: Permit,
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Accepts one connection without waiting.
pub(super) fn take(listener: &Listener) -> Result<(Stream, ConnectInfo), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let local = match listener.local() {
        Local::Tcp(local) => *local,
        Local::Unix(path) => return Ok((Stream::Unix(fd.into()), ConnectInfo::unix(path.clone()))),
    };
    let stream = std::net::TcpStream::from(fd);
    // A small answer must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let local = if local.ip().is_unspecified() {
        // Unknown only when the client has gone already.
        stream.local_addr().map_err(|_| Errno::CONNABORTED)?
    } else {
        local
    };
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    let peer = peer.ok_or(Errno::CONNABORTED)?;
    let connection = ConnectInfo::tcp(canonical(local), canonical(peer));
    Ok((Stream::Tcp(stream), connection))
}

/// An IPv4 client of a socket for both families has an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The connection, or the network that it came from, is gone: see the errors of accept(2).
pub(super) fn is_of_the_client(error: Errno) -> bool {
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
