//! The files of Unix sockets.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use socket2::{Domain, SockAddr, Socket, Type};

/// Removes the socket file of a program that is gone. One that still answers, and a file that is
/// no socket, are left alone.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file of another kind is there; remove it or choose another path",
        ));
    }
    // Without blocking: a program whose queue is full is alive, too.
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
    /// It is for another process to remove.
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

    /// Another process will remove it.
    pub(crate) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// No other process will remove it.
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
