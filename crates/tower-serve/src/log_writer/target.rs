//! The destination of a log: a file, a pipe, or a standard stream.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, OFlags, fstat},
    stdio,
};

/// The destination of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name in messages to the operator.
    name: &'static str,
    destination: Destination,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Stdout,
    Stderr,
    File(PathBuf),
}

impl Target {
    /// `-` is standard output.
    #[must_use]
    pub fn access_log(path: &Path) -> Self {
        Self {
            name: "access log",
            destination: destination(path, Destination::Stdout),
        }
    }

    /// `-` is standard error.
    #[must_use]
    pub fn server_log(path: &Path) -> Self {
        Self {
            name: SERVER_LOG,
            destination: destination(path, Destination::Stderr),
        }
    }

    /// Standard output, for text that the application prints.
    #[must_use]
    pub fn stdout() -> Self {
        Self {
            name: "standard output",
            destination: Destination::Stdout,
        }
    }

    /// Standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self {
            name: SERVER_LOG,
            destination: Destination::Stderr,
        }
    }

    /// Whether it is standard output.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        self.destination == Destination::Stdout
    }

    /// Whether it is standard error.
    #[must_use]
    pub fn is_stderr(&self) -> bool {
        self.destination == Destination::Stderr
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_server_log(&self) -> bool {
        self.name == SERVER_LOG
    }

    /// The path of the file. Standard streams have none.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.destination {
            Destination::File(path) => Some(path),
            Destination::Stdout | Destination::Stderr => None,
        }
    }

    /// Opens the log, and waits for nothing.
    pub(super) fn open(&self) -> io::Result<Sink> {
        let path = match &self.destination {
            Destination::Stdout => return Ok(Sink::Stdout),
            Destination::Stderr => return Ok(Sink::Stderr),
            Destination::File(path) => path,
        };
        let mut options = OpenOptions::new();
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        options.append(true).custom_flags(nonblocking);
        let is_fifo = path.metadata().is_ok_and(|file| file.file_type().is_fifo());
        if is_fifo {
            // Opened for reading as well, the pipe needs no reader now, and keeps its content when its reader leaves.
            if let Ok(file) = options.clone().read(true).open(path) {
                return Ok(Sink::File(file));
            }
        }
        options.create(true).open(path).map(Sink::File)
    }
}

const SERVER_LOG: &str = "server log";

fn destination(path: &Path, standard: Destination) -> Destination {
    if path.as_os_str() == "-" {
        return standard;
    }
    // The application may change the working directory.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Destination::File(path)
}

/// Opens the file of a log as its writer will, to find out at the start whether it can be. The error is a sentence for
/// the operator.
pub fn check(target: &Target) -> Result<(), String> {
    let Some(path) = target.path() else {
        return Ok(());
    };
    target.open().map(drop).map_err(|error| {
        format!(
            "cannot open the {} {}: {error}; choose a file that this user may write",
            target.name,
            path.display()
        )
    })
}

/// An open log. Standard streams are used by their number, as a program may replace them.
#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    Stderr,
    File(File),
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => stdio::stdout(),
            Self::Stderr => stdio::stderr(),
            Self::File(file) => file.as_fd(),
        }
    }
}

impl Sink {
    pub(super) fn file_type(&self) -> io::Result<FileType> {
        Ok(FileType::from_raw_mode(fstat(self)?.st_mode))
    }
}
