//! A listening socket, and the file of a Unix socket.

use std::{
    fs, io,
    net::{Shutdown, SocketAddr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Address;

/// A listening socket. It never blocks: the flag belongs to the socket, and so to all processes that have a copy, and is set
/// before the first of them starts.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    local: LocalAddress,
    /// The address as the operator has written it. Workers do not know it, and a socket that the service manager has bound has
    /// none.
    address: Option<Address>,
    /// Whether the service manager has bound it, and may use it after the end of this program.
    is_passed: bool,
    /// Whether its clients are redirected to HTTPS.
    redirects: bool,
}

/// The actual address of a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalAddress {
    Tcp(SocketAddr),
    Unix(Option<PathBuf>),
}

impl Listener {
    pub(super) fn tcp(address: SocketAddr, only_v6: bool, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of the previous run may still be in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        socket.bind(&address.into())?;
        Self::listen(socket, backlog)
    }

    pub(super) fn unix(path: &Path, mode: u32, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // On Linux the file gets the mode of the socket, less the umask. So it never has more permissions.
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
            Some(address) => LocalAddress::Tcp(address),
            None => LocalAddress::Unix(address.as_pathname().map(Into::into)),
        };
        let address = None;
        Ok(Self {
            socket,
            local,
            address,
            is_passed: false,
            redirects: false,
        })
    }

    /// Sets the address that the operator has written.
    pub(super) fn at(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    /// A copy of the socket.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            local: self.local.clone(),
            address: self.address.clone(),
            is_passed: self.is_passed,
            redirects: self.redirects,
        })
    }

    /// Sets the permissions of the file of a Unix socket, unless the service manager owns it.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        match &self.address {
            Some(Address::Unix(path)) => set_mode(path, mode),
            _ => Ok(()),
        }
    }

    pub(crate) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// Takes a listener of the supervisor.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Self::new(Socket::from(fd))
    }

    /// Takes a socket that the service manager has passed.
    pub(super) fn passed(fd: OwnedFd) -> io::Result<Self> {
        let listener = Self::from_fd(fd)?.passed_if(true);
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Sets whether the service manager has passed it to this program.
    pub(crate) fn passed_if(self, is_passed: bool) -> Self {
        Self { is_passed, ..self }
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.is_passed
    }

    /// Sets whether its clients are redirected to HTTPS.
    pub(crate) fn redirects_if(self, redirects: bool) -> Self {
        Self { redirects, ..self }
    }

    pub(crate) fn redirects(&self) -> bool {
        self.redirects
    }

    /// The address as a URL, for an operator, where the server does or does not have a certificate.
    pub(crate) fn url(&self, encrypted: bool) -> String {
        self.local.url(encrypted && !self.redirects)
    }

    /// Shuts it down in every process that has a copy, including those that the application has forked. The address is free
    /// then.
    pub(crate) fn shut_down(&self) {
        // This fails if it was already shut down.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    pub(crate) fn local(&self) -> &LocalAddress {
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

impl LocalAddress {
    /// The address as a URL, for an operator.
    fn url(&self, encrypted: bool) -> String {
        match self {
            Self::Tcp(address) if encrypted => format!("https://{address}"),
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(Some(path)) => format!("unix:{}", path.display()),
            Self::Unix(None) => "unix:".into(),
        }
    }
}

/// Removes the socket file of a program that has ended. A socket that accepts connections, and any other file, is an error.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file exists and is no socket; remove it or choose another path",
        ));
    }
    // Without blocking: a program whose queue is full is alive as well.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file of a Unix socket, removed on drop unless another program has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Whether another process will remove it.
    left: AtomicBool,
}

impl SocketFile {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
            left: AtomicBool::new(false),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to another process, which will remove it.
    pub(crate) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// Takes it over from another process.
    pub(super) fn own(&self) {
        self.left.store(false, Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let left = self.left.load(Relaxed);
        if !left && identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
