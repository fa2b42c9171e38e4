//! The listening control socket and its file.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::listener::{SocketFile, remove_stale};

/// The length of the kernel's queue of connections.
const BACKLOG: i32 = 16;

/// The listening socket, and its file, which is removed on drop unless another program has replaced it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    // First, so that there is never a file whose socket is already closed.
    file: SocketFile,
    listener: UnixListener,
}

impl ControlSocket {
    /// Listens at `path`, accessible to this user only. The error is a sentence for the operator.
    pub(crate) fn bind(path: &Path) -> Result<Self, String> {
        Self::try_bind(path).map_err(|error| {
            let place = path.display();
            let problem = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "another program listens there; stop it or choose another path".into()
                }
                io::ErrorKind::PermissionDenied => {
                    "permission denied; choose a directory that this user may write to".into()
                }
                io::ErrorKind::NotFound => {
                    "the directory does not exist; create it or choose another path".into()
                }
                _ => error.to_string(),
            };
            format!("cannot create the control socket {place}: {problem}")
        })
    }

    fn try_bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // On Linux the file gets the mode of the socket. So there is no moment at which others may connect, and the
        // umask, which belongs to all threads, stays unchanged.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::new(path)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            file,
            listener: socket.into(),
        })
    }

    /// Takes a socket that another process has bound to this path.
    pub(crate) fn inherited(path: &Path, socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            file: SocketFile::new(path)?,
            listener: socket.into(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Leaves the file to another process, which has taken over the socket and will remove it.
    pub(crate) fn leave_file(&self) {
        self.file.leave();
    }

    /// A copy of the socket, to accept connections from.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::PermissionsExt, net::UnixStream},
    };

    use super::*;

    #[test]
    fn only_the_owner_may_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let socket = ControlSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn one_program_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let first = ControlSocket::bind(&path).unwrap();
        let error = ControlSocket::bind(&path).unwrap_err();
        let place = path.display();
        let expected = format!(
            "cannot create the control socket {place}: another program listens there; stop it or \
             choose another path"
        );
        assert_eq!(error, expected);
        assert!(path.exists());
        // As after a crash: the file exists without its socket.
        first.leave_file();
        drop(first);
        assert!(path.exists());
        let _second = ControlSocket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn another_process_takes_it_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let old = ControlSocket::bind(&path).unwrap();
        let fd = old.as_fd().try_clone_to_owned().unwrap();
        let new = ControlSocket::inherited(&path, fd).unwrap();
        old.leave_file();
        drop(old);
        let _client = UnixStream::connect(&path).unwrap();
        new.listener().unwrap().accept().unwrap();
        drop(new);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let error = |path: &Path| ControlSocket::bind(path).unwrap_err();
        assert!(error(directory.path()).contains("the file exists and is no socket"));
        assert!(error(&directory.path().join("a/b")).contains("the directory does not exist"));
        let long = directory.path().join("x".repeat(200));
        assert!(error(&long).contains("cannot create the control socket"));
    }
}
