//! The pid file of the supervisor.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
    process::{Pid, getppid},
};

/// The bytes that are read of a pid file; a number is shorter.
const LONGEST: u64 = 64;

/// A file with the id of this process. It is removed on drop, unless another process has replaced it.
///
/// The process holds a lock on the file until it ends. So a file without a lock is stale, even if another
/// process has the same id by now.
///
/// The file is written under another name, locked, and then moved to its path. So a reader never finds half of a number, and
/// the file at the path is always locked.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// Locked.
    file: File,
}

impl PidFile {
    /// Creates the file. This fails while the process that an existing file names is running. The error is a sentence for the
    /// operator.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        Self::put(path, None)
    }

    /// The same, but replaces the file of the parent process while that is running. The parent then leaves the file alone.
    pub(crate) fn take_over(path: &Path) -> Result<Self, String> {
        Self::put(path, getppid())
    }

    fn put(path: &Path, predecessor: Option<Pid>) -> Result<Self, String> {
        let predecessor = predecessor.map(|pid| pid.as_raw_nonzero().to_string());
        let draft = Draft::write(path).map_err(|error| cannot_write(path, &error))?;
        loop {
            match draft.put_where_none_is() {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return draft.done(result),
            }
            let Some(before) =
                ExistingFile::open(path).map_err(|error| cannot_write(path, &error))?
            else {
                continue;
            };
            let pid = before.pid(path)?;
            let is_stale = before.lock().map_err(|error| cannot_write(path, &error))?;
            if !is_stale && predecessor.as_ref() != Some(&pid) {
                return Err(format!(
                    "{} names the running process {pid}; stop it or choose another file",
                    path.display()
                ));
            }
            // Another process may have replaced the file before the lock was there.
            if is_at(&before.0, path) {
                if is_stale {
                    tracing::info!(
                        path = %path.display(),
                        pid,
                        "stale pid file replaced"
                    );
                }
                return draft.done(draft.replace());
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A complete and locked file under another name. It is removed on drop.
#[derive(Debug)]
struct Draft<'a> {
    file: File,
    draft: PathBuf,
    path: &'a Path,
}

impl<'a> Draft<'a> {
    fn write(path: &'a Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", process::id()));
        let draft = PathBuf::from(name);
        // Left by a process that had this id before, and was killed at this point.
        let _ = fs::remove_file(&draft);
        let mut file = File::create_new(&draft)?;
        let written = writeln!(file, "{}", process::id());
        let draft = Self { file, draft, path };
        written?;
        flock(&draft.file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(draft)
    }

    fn put_where_none_is(&self) -> io::Result<()> {
        fs::hard_link(&self.draft, self.path)
    }

    fn replace(&self) -> io::Result<()> {
        fs::rename(&self.draft, self.path)
    }

    fn done(&self, result: io::Result<()>) -> Result<PidFile, String> {
        let file = result.and_then(|()| self.file.try_clone());
        let file = file.map_err(|error| cannot_write(self.path, &error))?;
        Ok(PidFile {
            path: self.path.to_owned(),
            file,
        })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
    }
}

/// An existing file at the path.
#[derive(Debug)]
struct ExistingFile(File);

impl ExistingFile {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        // Opening a pipe must not block.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        match options.read(true).custom_flags(flags).open(path) {
            Ok(file) => Ok(Some(Self(file))),
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The process id in the file, or an empty string. Any other content is an error.
    fn pid(&self, path: &Path) -> Result<String, String> {
        let mut text = String::new();
        let read = (&self.0).take(LONGEST).read_to_string(&mut text);
        let pid = text.trim();
        if read.is_ok() && pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(pid.to_owned());
        }
        Err(format!(
            "{} exists and is no pid file; choose another file",
            path.display()
        ))
    }

    /// Locks the file. `false` if another process has locked it.
    fn lock(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the file is the one at this path.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    let there = fs::symlink_metadata(path).map(identity);
    let here = file.metadata().map(identity);
    matches!((here, there), (Ok(here), Ok(there)) if here == there)
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot write the pid file {}: {error}; choose a directory that this user may write to",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn place() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.pid");
        (directory, path)
    }

    fn names(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    fn own() -> String {
        format!("{}\n", process::id())
    }

    #[test]
    fn it_is_there_while_the_process_lives() {
        let (directory, path) = place();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), own());
        assert_eq!(names(&directory), ["shop.pid"]);
        drop(file);
        assert!(names(&directory).is_empty());
    }

    #[test]
    fn that_of_a_running_process_is_refused() {
        let (directory, path) = place();
        let _file = PidFile::create(&path).unwrap();
        assert_eq!(
            PidFile::create(&path).unwrap_err(),
            format!(
                "{} names the running process {}; stop it or choose another file",
                path.display(),
                process::id()
            )
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), own());
        assert_eq!(names(&directory), ["shop.pid"]);
    }

    #[test]
    fn a_stale_one_is_replaced() {
        // Also when another process has the id by now, and when the machine ended while it was written.
        for stale in ["1\n", "99999999\n", ""] {
            let (directory, path) = place();
            fs::write(&path, stale).unwrap();
            let _file = PidFile::create(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), own());
            assert_eq!(names(&directory), ["shop.pid"]);
            assert!(PidFile::create(&path).is_err());
        }
    }

    #[test]
    fn a_successor_takes_it_over() {
        let (directory, path) = place();
        let old = PidFile::create(&path).unwrap();
        assert!(PidFile::put(&path, Pid::from_raw(1)).is_err());
        let new = PidFile::put(&path, Some(rustix::process::getpid())).unwrap();
        drop(old);
        assert_eq!(fs::read_to_string(&path).unwrap(), own());
        assert!(PidFile::create(&path).is_err(), "it is locked");
        drop(new);
        assert!(names(&directory).is_empty());
    }

    #[test]
    fn another_file_is_left_alone() {
        let (directory, path) = place();
        fs::write(&path, "12 angry men").unwrap();
        let error = PidFile::create(&path).unwrap_err();
        assert!(error.contains("is no pid file"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "12 angry men");

        let inner = directory.path().join("directory");
        fs::create_dir(&inner).unwrap();
        assert!(PidFile::create(&inner).is_err());
        let link = directory.path().join("link");
        symlink("/nonexistent/place", &link).unwrap();
        assert!(PidFile::create(&link).is_err());
    }

    #[test]
    fn a_path_that_cannot_be_written() {
        let error = PidFile::create(Path::new("/nonexistent/shop.pid")).unwrap_err();
        assert_eq!(
            error,
            "cannot write the pid file /nonexistent/shop.pid: No such file or directory \
             (os error 2); choose a directory that this user may write to"
        );
    }
}
