use std::{
    fs, io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Address;

/// A listening socket. It never blocks: the flag belongs to the socket and so to all processes
/// that hold it, and is set once, before the first of them starts.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    local: Local,
    /// As the operator wrote it; known to the process that listens on it, not to its workers. One that the
    /// service manager has bound has none.
    address: Option<Address>,
    /// The service manager has bound it, and may go on with it after the end of this program.
    is_passed: bool,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Tcp(SocketAddr),
    Unix(Option<PathBuf>),
}

impl Listener {
    pub(super) fn tcp(address: SocketAddr, only_v6: bool, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of the last run that are still in TIME_WAIT must not hinder this one.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        socket.bind(&address.into())?;
        Self::listen(socket, backlog)
    }

    pub(super) fn unix(path: &Path, mode: u32, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // On Linux the file gets the mode of the socket, less the umask, so there is no moment at which it has
        // more.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
        socket.bind(&SockAddr::unix(path)?)?;
        set_mode(path, mode)?;
        Self::listen(socket, backlog)
    }

    fn listen(socket: Socket, backlog: u32) -> io::Result<Self> {
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Self::new(socket)
    }

    fn new(socket: Socket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let local = match address.as_socket() {
            Some(address) => Local::Tcp(address),
            None => Local::Unix(address.as_pathname().map(Into::into)),
        };
        let address = None;
        Ok(Self {
            socket,
            local,
            address,
            is_passed: false,
        })
    }

    /// Says what the operator wrote for it.
    pub(super) fn at(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    /// The same socket once more.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            local: self.local.clone(),
            address: self.address.clone(),
            is_passed: self.is_passed,
        })
    }

    /// Gives the file of a Unix socket these permissions. One that was passed is not ours to change.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        match &self.address {
            Some(Address::Unix(path)) => set_mode(path, mode),
            _ => Ok(()),
        }
    }

    pub(crate) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// Takes a listener that the supervisor made.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Self::new(Socket::from(fd))
    }

    /// Takes one that the service manager has passed.
    pub(super) fn passed(fd: OwnedFd) -> io::Result<Self> {
        let listener = Self::from_fd(fd)?.passed_if(true);
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Says whether the service manager has passed it to this program.
    pub(crate) fn passed_if(self, is_passed: bool) -> Self {
        Self { is_passed, ..self }
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.is_passed
    }

    /// Ends it in every process that has a copy, those that the application has forked, too: the address is free.
    pub(crate) fn shut_down(&self) {
        // One that was shut down already is not connected.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    pub(crate) fn local(&self) -> &Local {
        &self.local
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Local {
    /// As an operator reads it.
    pub(crate) fn url(&self, encrypted: bool) -> String {
        match self {
            Self::Tcp(address) if encrypted => format!("https://{address}"),
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(Some(path)) => format!("unix:{}", path.display()),
            Self::Unix(None) => "unix:".into(),
        }
    }
}
