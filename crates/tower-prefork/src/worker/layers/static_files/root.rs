//! Opens files inside of one directory: [`Root`].

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::Once,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};

/// How often to try again when another process renames what is looked up.
const ATTEMPTS: usize = 4;

/// A directory of static files.
///
/// It is looked up for each file, so that a deployment may replace it.
#[derive(Debug)]
pub(super) struct Root {
    directory: PathBuf,
    escape: Once,
}

/// Whether a look-up may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It fails with [`io::ErrorKind::WouldBlock`] where the kernel does not have everything in memory.
    Cached,
    Complete,
}

impl Root {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            escape: Once::new(),
        }
    }

    /// Opens a file or a directory, for its metadata.
    pub(super) fn look_up(&self, path: &Path, lookup: Lookup) -> io::Result<File> {
        self.open_with(path, OFlags::PATH, lookup)
    }

    /// Opens a file to read it. Nothing but files is to be opened, which the caller checks; until then, a pipe must not
    /// wait for its writer.
    pub(super) fn open(&self, path: &Path, lookup: Lookup) -> io::Result<File> {
        self.open_with(
            path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            lookup,
        )
    }

    fn open_with(&self, path: &Path, flags: OFlags, lookup: Lookup) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = match lookup {
            Lookup::Cached => self.confined(path, flags, ResolveFlags::CACHED),
            Lookup::Complete => self.complete(path, flags),
        };
        opened.map(File::from).map_err(|errno| match errno {
            // A system without the call, or without its flag.
            Errno::NOSYS | Errno::INVAL | Errno::PERM if lookup == Lookup::Cached => {
                io::ErrorKind::WouldBlock.into()
            }
            Errno::XDEV => {
                self.warn(path);
                io::ErrorKind::NotFound.into()
            }
            // What a client can ask for: names that are too long, have a NUL, lead through a file, or to a socket.
            Errno::ACCESS
            | Errno::INVAL
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::NOENT
            | Errno::NOTDIR
            | Errno::NXIO
            | Errno::PERM => io::ErrorKind::NotFound.into(),
            errno => errno.into(),
        })
    }

    fn complete(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        for _ in 0..ATTEMPTS {
            match self.confined(path, flags, ResolveFlags::empty()) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Before Linux 5.6, in a sandbox, or where a filter of system calls does not know it.
                Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, flags),
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The kernel itself sees to it that no symbolic link leads out of the directory, even if one changes meanwhile.
    fn confined(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat2(CWD, &self.directory, directory, Mode::empty(), more)?;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(directory, path, flags, Mode::empty(), inside | more)
    }

    /// The same without this help of the kernel: no symbolic link is followed.
    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = openat(CWD, &self.directory, step, Mode::empty())?;
        let mut names = path.components().filter_map(|component| match component {
            Component::CurDir => None,
            Component::Normal(name) => Some(Ok(name)),
            _ => Some(Err(Errno::XDEV)),
        });
        let Some(mut name) = names.next().transpose()? else {
            return openat(directory, ".", flags, Mode::empty());
        };
        for next in names {
            directory = openat(directory, name, step | OFlags::NOFOLLOW, Mode::empty())?;
            name = next?;
        }
        openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Says once what an operator may wonder at.
    fn warn(&self, path: &Path) {
        self.escape.call_once(|| {
            tracing::warn!(
                directory = %self.directory.display(),
                path = %path.display(),
                "a symbolic link leads out of the directory of static files, or is absolute; it is not followed"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn the_walk_follows_no_link_and_leaves_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/file"), "inside").unwrap();
        fs::write(directory.path().join("secret"), "outside").unwrap();
        symlink("file", root.join("a/link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let root = Root::new(&root);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let walk = |path: &str| root.walk(Path::new(path), flags);

        assert!(walk("./a/file").is_ok() && walk("a/file").is_ok() && walk(".").is_ok());
        assert_eq!(walk("a/link").unwrap_err(), Errno::LOOP);
        assert_eq!(walk("up/secret").unwrap_err(), Errno::NOTDIR);
        assert_eq!(walk("../secret").unwrap_err(), Errno::XDEV);
        assert_eq!(walk("/etc/passwd").unwrap_err(), Errno::XDEV);
        assert_eq!(walk("a/file/b").unwrap_err(), Errno::NOTDIR);
        assert_eq!(walk("missing").unwrap_err(), Errno::NOENT);
    }
}
