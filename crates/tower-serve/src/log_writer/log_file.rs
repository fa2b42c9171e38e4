//! The open file of a log: it is opened again after it was renamed, and no write waits for long.

use std::{
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
};

use super::target::{Sink, Target};

/// How often to check whether the path is another file now.
const CHECK: Duration = Duration::from_secs(1);

/// How long to wait for room in a pipe at a time. The writer cannot be called meanwhile.
const WAIT: Duration = Duration::from_millis(100);

/// How many times to wait for room in the middle of a line.
const WAITS_WITHIN_A_LINE: u32 = 10;

/// The longest write that the kernel keeps together when several processes write to one pipe.
pub(crate) const PIPE_BUF: usize = 4096;

/// The open file of a log.
#[derive(Debug)]
pub struct LogFile {
    target: Target,
    /// `None` while it could not be opened.
    sink: Option<Sink>,
    checked: Instant,
    /// The last byte that was written is not the end of a line.
    torn: bool,
}

impl LogFile {
    /// Opens the file. If that fails, [`write`](Self::write) tries again.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let sink = target.open().ok();
        Self {
            sink,
            ..Self::later(target)
        }
    }

    /// Opens the file when there is something to write.
    #[must_use]
    pub fn later(target: Target) -> Self {
        Self {
            target,
            sink: None,
            checked: Instant::now(),
            torn: false,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.target.name()
    }

    pub(super) fn is_server_log(&self) -> bool {
        self.target.is_server_log()
    }

    /// Whether a write of any length stays in one piece.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        let file_type = self.sink.as_ref().and_then(|sink| sink.file_type().ok());
        file_type == Some(FileType::RegularFile)
    }

    /// Writes whole lines, and removes them from `lines`. After an error the others can be tried again. The error
    /// `WouldBlock` means that a pipe stayed full for a while.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        self.follow(Instant::now())?;
        let Some(sink) = &self.sink else {
            return Err(ErrorKind::NotFound.into());
        };
        let file_type = sink.file_type()?;
        let is_pipe = matches!(file_type, FileType::Fifo | FileType::Socket);
        let most = if is_pipe { PIPE_BUF } else { usize::MAX };
        // Never in a blocking write: the writer must be able to notice a call.
        let waits = is_pipe || file_type == FileType::CharacterDevice;
        if self.torn {
            write_all(sink, b"\n", waits).map_err(|(_, error)| error)?;
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            let batch = whole_lines(&lines[written..], most);
            match write_all(sink, batch, waits) {
                Ok(()) => written += batch.len(),
                Err((some, error)) => {
                    // Another process may write before this is tried again, so the whole line is repeated.
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

    /// Opens the path again, as an operator requests.
    pub(super) fn reopen(&mut self) {
        let Some(path) = self.target.path() else {
            return;
        };
        match self.target.open() {
            Ok(sink) => {
                self.sink = Some(sink);
                self.torn = false;
                self.checked = Instant::now();
            }
            Err(error) => {
                let (name, path) = (self.target.name(), path.display());
                tracing::warn!(%error, %path, "cannot open the {name} again; the old file stays in use");
            }
        }
    }

    /// Opens the path again if it is another file now, which is checked at most once a second. If that fails, the old
    /// file stays in use.
    fn follow(&mut self, now: Instant) -> io::Result<()> {
        let due = now.saturating_duration_since(self.checked) >= CHECK;
        if self.sink.is_some() && !due {
            return Ok(());
        }
        let Some(path) = self.target.path() else {
            self.sink = Some(self.target.open()?);
            return Ok(());
        };
        self.checked = now;
        if let (Some(sink), Ok(there)) = (&self.sink, path.metadata()) {
            let here = fstat(sink)?;
            if (here.st_dev, here.st_ino) == (there.dev(), there.ino()) {
                return Ok(());
            }
        }
        match self.target.open() {
            Ok(sink) => {
                self.sink = Some(sink);
                self.torn = false;
                Ok(())
            }
            Err(error) if self.sink.is_some() => {
                let (name, path) = (self.target.name(), path.display());
                tracing::debug!(%error, %path, "cannot open the {name} again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a pipe is full, which its reader may change.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// The whole lines that fit into `most` bytes, or one line that does not.
fn whole_lines(lines: &[u8], most: usize) -> &[u8] {
    if lines.len() <= most {
        return lines;
    }
    let is_end = |byte: &u8| *byte == b'\n';
    let fitting = lines[..most].iter().rposition(is_end);
    let end = fitting.or_else(|| lines.iter().position(is_end));
    end.map_or(lines, |end| &lines[..=end])
}

/// Writes all bytes. An error comes with the number that were written before. With `waits`, it waits for room before each
/// write, which may block otherwise.
fn write_all(sink: &Sink, bytes: &[u8], waits: bool) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    let mut waited = 0;
    while written < bytes.len() {
        let mut left = &bytes[written..];
        if waits {
            if !has_room(sink) {
                waited += 1;
                if written == 0 || waited >= WAITS_WITHIN_A_LINE {
                    return Err((written, ErrorKind::WouldBlock.into()));
                }
                continue;
            }
            // Room for one such write is what the poll has found.
            left = &left[..left.len().min(PIPE_BUF)];
        }
        match rustix::io::write(sink, left) {
            Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
            Ok(some) => written += some,
            Err(rustix::io::Errno::INTR) => {}
            // Another process took the room, or this kind of file reports room that it has not.
            Err(rustix::io::Errno::AGAIN) if waits => {
                waited += 1;
                if written == 0 || waited >= WAITS_WITHIN_A_LINE {
                    return Err((written, ErrorKind::WouldBlock.into()));
                }
                std::thread::sleep(WAIT / 10);
            }
            Err(error) => return Err((written, error.into())),
        }
    }
    Ok(())
}

/// Waits a little until more can be written. An error shows at the next write.
fn has_room(sink: &Sink) -> bool {
    let wait = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(WAIT.subsec_nanos()),
    };
    !matches!(
        poll(&mut [PollFd::new(sink, PollFlags::OUT)], Some(&wait)),
        Ok(0)
    )
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Read,
        os::fd::OwnedFd,
        path::Path,
        thread,
    };

    use super::{super::target::check, *};

    /// As if the path had last been checked at long ago.
    fn write(output: &mut LogFile, lines: &str) -> io::Result<()> {
        output.checked = Instant::now().checked_sub(CHECK).unwrap();
        output.write(&mut lines.as_bytes().to_vec())
    }

    fn log(path: &Path) -> LogFile {
        LogFile::new(Target::access_log(path))
    }

    fn into_pipe(writer: io::PipeWriter) -> LogFile {
        LogFile {
            sink: Some(Sink::File(File::from(OwnedFd::from(writer)))),
            ..LogFile::later(Target::stdout())
        }
    }

    #[test]
    fn lines_are_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let (mut one, mut other) = (log(&path), log(&path));
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
        let mut output = log(&path);
        write(&mut output, "one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        // Looked at a moment ago.
        output.checked = Instant::now() + CHECK;
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
        let mut output = log(&inner.join("log"));
        fs::rename(&inner, &moved).unwrap();
        write(&mut output, "one\n").unwrap();
        assert_eq!(fs::read_to_string(moved.join("log")).unwrap(), "one\n");

        // What could not be opened at all is tried again.
        let mut output = log(&inner.join("log"));
        let mut lines = b"two\n".to_vec();
        output.write(&mut lines).unwrap_err();
        assert_eq!(lines, b"two\n");
        fs::create_dir(&inner).unwrap();
        output.write(&mut lines).unwrap();
        assert_eq!(fs::read_to_string(inner.join("log")).unwrap(), "two\n");
    }

    #[test]
    fn a_disk_that_is_full_keeps_the_lines() {
        let mut output = log(Path::new("/dev/full"));
        let mut lines = b"one\ntwo\n".to_vec();
        let error = output.write(&mut lines).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(lines, b"one\ntwo\n");
    }

    #[test]
    fn a_line_that_was_torn_begins_anew_on_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut output = log(&path);
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
        let error = check(&Target::access_log(Path::new("/nonexistent/log"))).unwrap_err();
        assert_eq!(
            error,
            "cannot open the access log /nonexistent/log: No such file or directory (os error 2); \
             choose a file that this user may write"
        );
        assert_eq!(check(&Target::access_log(Path::new("-"))), Ok(()));
    }

    #[test]
    fn a_pipe_that_is_full_is_not_waited_for_for_ever() {
        // Both as programs leave them: one that waits by itself, and one that does not.
        for nonblocking in [false, true] {
            let (mut reader, writer) = io::pipe().unwrap();
            rustix::io::ioctl_fionbio(&writer, nonblocking).unwrap();
            let mut output = into_pipe(writer);
            let line = format!("{}\n", "x".repeat(99));
            let mut lines = line.repeat(10_000).into_bytes();
            let error = output.write(&mut lines).unwrap_err();
            assert!(is_full(&error), "{error}");
            assert!(!lines.is_empty() && lines.len() % line.len() == 0);
            // The rest is written when there is room.
            let reader = thread::spawn(move || {
                let mut read = String::new();
                reader.read_to_string(&mut read).unwrap();
                read
            });
            while !lines.is_empty() {
                let _ = output.write(&mut lines);
            }
            drop(output);
            assert_eq!(reader.join().unwrap(), line.repeat(10_000));
        }
    }

    #[test]
    fn a_named_pipe_needs_no_reader() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        assert_eq!(check(&Target::access_log(&path)), Ok(()));
        let mut output = log(&path);
        write(&mut output, "one\n").unwrap();
        output.reopen();
        write(&mut output, "two\n").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut read = [0; 8];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one\ntwo\n");
    }

    #[test]
    fn a_file_is_opened_again_at_once_when_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut output = log(&path);
        fs::rename(&path, &old).unwrap();
        output.reopen();
        // It is there before the next line.
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        output.write(&mut b"one\n".to_vec()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        output.reopen();
        write(&mut output, "lost with the file, which is removed\n").unwrap();
    }
}
