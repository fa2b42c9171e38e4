use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::AccessLog;

/// How often the path is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the kernel keeps together when several processes write to one pipe: its `PIPE_BUF`.
pub(super) const PIPE_BUF: usize = 4096;

/// Opens the file of a log as a worker will, so that what is wrong shows at the start. The error is
/// a sentence for the operator.
pub(crate) fn check(log: &AccessLog) -> Result<(), String> {
    open(&log.path).map(drop).map_err(|error| {
        format!(
            "cannot open the access log {}: {error}; choose a file that this user may write",
            log.path.display()
        )
    })
}

/// The file that lines go to.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// `None` while it could not be opened.
    file: Option<File>,
    looked: Instant,
    /// The last byte that was written is within a line.
    torn: bool,
}

impl Output {
    /// Opens the file. When it cannot be, [`write`](Self::write) tries again.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: open(path).ok(),
            looked: Instant::now(),
            torn: false,
        }
    }

    /// Whether a write of any length stays in one piece.
    pub(super) fn is_regular(&self) -> bool {
        let kind = self.file.as_ref().and_then(|file| file.metadata().ok());
        kind.is_some_and(|kind| kind.is_file())
    }

    /// Writes whole lines, and removes from `lines` what was written. After an error the rest can be
    /// tried again.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        self.follow(Instant::now())?;
        let Some(file) = &self.file else {
            return Err(ErrorKind::NotFound.into());
        };
        let kind = file.metadata()?.file_type();
        let most = if kind.is_fifo() || kind.is_socket() {
            PIPE_BUF
        } else {
            usize::MAX
        };
        if self.torn {
            write_all(file, b"\n").map_err(|(_, error)| error)?;
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            let batch = whole_lines(&lines[written..], most);
            match write_all(file, batch) {
                Ok(()) => written += batch.len(),
                Err((some, error)) => {
                    // Others may write before this is tried again, so the line begins anew.
                    let whole = batch[..some].iter().rposition(|&byte| byte == b'\n');
                    let whole = whole.map_or(0, |end| end + 1);
                    self.torn = whole < some;
                    lines.drain(..written + whole);
                    return Err(error);
                }
            }
        }
        lines.clear();
        Ok(())
    }

    /// Opens the path again when it has become another file, which it is not asked more than once
    /// a second. When that fails, lines go to the file of before.
    fn follow(&mut self, now: Instant) -> io::Result<()> {
        let due = now.saturating_duration_since(self.looked) >= LOOK;
        if is_stdout(&self.path) || self.file.is_some() && !due {
            return Ok(());
        }
        self.looked = now;
        if let (Some(file), Ok(there)) = (&self.file, self.path.metadata()) {
            let here = file.metadata()?;
            if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
                return Ok(());
            }
        }
        match open(&self.path) {
            Ok(file) => {
                self.file = Some(file);
                self.torn = false;
                Ok(())
            }
            Err(error) if self.file.is_some() => {
                tracing::debug!(%error, path = %self.path.display(), "the access log cannot be opened again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> io::Result<File> {
    if is_stdout(path) {
        // Its own descriptor, past the buffer that std has before it.
        return io::stdout().as_fd().try_clone_to_owned().map(File::from);
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// As many whole lines as fit into so many bytes, or one that does not.
fn whole_lines(lines: &[u8], most: usize) -> &[u8] {
    if lines.len() <= most {
        return lines;
    }
    let is_end = |byte: &u8| *byte == b'\n';
    let fitting = lines[..most].iter().rposition(is_end);
    let end = fitting.or_else(|| lines.iter().position(is_end));
    end.map_or(lines, |end| &lines[..=end])
}

/// Writes all of it; an error comes with what was written before.
fn write_all(mut file: &File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
            Ok(some) => written += some,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Standard output may be shared with somebody who does not want to wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(file),
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// Waits until more can be written, or for a while.
fn wait(file: &File) {
    let while_ = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    // The next write tells what is wrong.
    let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&while_));
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::fd::OwnedFd, thread};

    use super::*;

    /// As if the path had last been looked at long ago.
    fn write(output: &mut Output, lines: &str) -> io::Result<()> {
        output.looked = Instant::now().checked_sub(LOOK).unwrap();
        output.write(&mut lines.as_bytes().to_vec())
    }

    fn into_pipe(writer: io::PipeWriter) -> Output {
        Output {
            path: "-".into(),
            file: Some(File::from(OwnedFd::from(writer))),
            looked: Instant::now(),
            torn: false,
        }
    }

    #[test]
    fn lines_are_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let (mut one, mut other) = (Output::new(&path), Output::new(&path));
        assert!(one.is_regular());
        write(&mut one, "one\n").unwrap();
        write(&mut other, "other\n").unwrap();
        write(&mut one, "one\n").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "before\none\nother\none\n"
        );
    }

    #[test]
    fn a_file_that_was_renamed_is_created_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut output = Output::new(&path);
        write(&mut output, "one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        // Looked at a moment ago.
        output.looked = Instant::now() + LOOK;
        output.write(&mut b"two\n".to_vec()).unwrap();
        write(&mut output, "three\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");

        // The program that renames may have created the new one.
        fs::rename(&path, &old).unwrap();
        fs::write(&path, "").unwrap();
        write(&mut output, "four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }

    #[test]
    fn a_directory_that_is_gone_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (inner, moved) = (directory.path().join("a"), directory.path().join("b"));
        fs::create_dir(&inner).unwrap();
        let mut output = Output::new(&inner.join("log"));
        fs::rename(&inner, &moved).unwrap();
        write(&mut output, "one\n").unwrap();
        assert_eq!(fs::read_to_string(moved.join("log")).unwrap(), "one\n");

        // What could not be opened at all is tried again.
        let mut output = Output::new(&inner.join("log"));
        let mut lines = b"two\n".to_vec();
        output.write(&mut lines).unwrap_err();
        assert_eq!(lines, b"two\n");
        fs::create_dir(&inner).unwrap();
        output.write(&mut lines).unwrap();
        assert_eq!(fs::read_to_string(inner.join("log")).unwrap(), "two\n");
    }

    #[test]
    fn a_disk_that_is_full_keeps_the_lines() {
        let mut output = Output::new(Path::new("/dev/full"));
        let mut lines = b"one\ntwo\n".to_vec();
        let error = output.write(&mut lines).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(lines, b"one\ntwo\n");
    }

    #[test]
    fn a_line_that_was_torn_begins_anew_on_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut output = Output::new(&path);
        write(&mut output, "one\ntw").unwrap();
        output.torn = true;
        write(&mut output, "two\n").unwrap();
        assert!(!output.torn);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\ntwo\n");
    }

    #[test]
    fn a_line_that_was_written_in_part_is_kept_whole() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut output = into_pipe(writer);
        // More than a pipe holds, so that its reader can leave in the middle.
        let long = format!("{}\n", "x".repeat(1 << 20));
        let writer = thread::spawn(move || {
            let mut lines = format!("one\n{long}").into_bytes();
            let error = output.write(&mut lines).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(lines, long.as_bytes());
            output
        });
        reader.read_exact(&mut [0; 100]).unwrap();
        drop(reader);
        assert!(writer.join().unwrap().torn);
    }

    #[test]
    fn a_pipe_gets_whole_lines_that_it_keeps_together() {
        let line = format!("{}\n", "x".repeat(1500));
        let lines = line.repeat(3);
        assert_eq!(whole_lines(lines.as_bytes(), PIPE_BUF).len(), 3002);
        assert_eq!(whole_lines(lines.as_bytes(), 100).len(), 1501);
        assert_eq!(whole_lines(lines.as_bytes(), usize::MAX).len(), 4503);

        // One that does not want to wait, and is full on the way.
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let lines = line.repeat(1000);
        let length = lines.len();
        let mut output = into_pipe(writer);
        assert!(!output.is_regular());
        let writer = thread::spawn(move || output.write(&mut lines.into_bytes()));
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(read.len(), length);
    }

    #[test]
    fn what_cannot_be_opened_is_a_sentence() {
        let error = check(&AccessLog::new("/nonexistent/log")).unwrap_err();
        assert_eq!(
            error,
            "cannot open the access log /nonexistent/log: No such file or directory (os error 2); \
             choose a file that this user may write"
        );
        assert_eq!(check(&AccessLog::new("-")), Ok(()));
    }
}
