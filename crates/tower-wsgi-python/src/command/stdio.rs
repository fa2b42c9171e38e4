//! Standard output and standard error of a worker's Python code: they write through the server's log writers, which
//! never block and never fail.

use std::{
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use pyo3::prelude::*;
use tower_prefork::LogStream;

/// The maximum size of a line that is buffered until its end.
const MAX_LINE: usize = 64 << 10;

/// The raw stream of `sys.stdout` or `sys.stderr`. It writes whole lines.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct LineWriter {
    stream: LogStream,
    /// The beginning of a line. Only threads that are attached to the interpreter lock it, so a forked process finds it
    /// unlocked.
    buffer: Mutex<Vec<u8>>,
}

#[pymethods]
impl LineWriter {
    fn write(&self, data: &[u8]) -> usize {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.extend_from_slice(data);
        let end = buffer.iter().rposition(|&byte| byte == b'\n');
        let end = end.map_or(0, |end| end + 1);
        let whole = if buffer.len() - end > MAX_LINE {
            buffer.len()
        } else {
            end
        };
        self.write_out(&mut buffer, whole);
        data.len()
    }

    /// Waits until everything is written, unless the log is stuck.
    fn flush(&self, py: Python<'_>) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let all = buffer.len();
        self.write_out(&mut buffer, all);
        drop(buffer);
        let mut stream = self.stream;
        py.detach(move || {
            // It never fails.
            let _ = stream.flush();
        });
    }
}

impl LineWriter {
    fn new(stream: LogStream) -> Self {
        Self {
            stream,
            buffer: Mutex::default(),
        }
    }

    fn write_out(&self, buffer: &mut Vec<u8>, bytes: usize) {
        if bytes > 0 {
            let mut stream = self.stream;
            // It never fails.
            let _ = stream.write_all(&buffer[..bytes]);
            buffer.drain(..bytes);
        }
    }
}

/// Replaces Python's own streams. Those would block a thread of the application while a pipe is full, and fail after its
/// reader has closed it.
pub(super) fn replace(py: Python<'_>) -> PyResult<()> {
    let stdout = LineWriter::new(LogStream::stdout());
    let stderr = LineWriter::new(LogStream::server_log());
    py.import("tower_wsgi._streams")?
        .call_method1("replace", (stdout, stderr))?;
    Ok(())
}
