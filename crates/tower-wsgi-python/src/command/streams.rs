//! What a worker's Python prints: it goes through the server's own writers, which never wait and never fail.

use std::{
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use pyo3::prelude::*;
use tower_prefork::LogStream as Stream;

/// The most that waits for the end of its line.
const LONGEST: usize = 64 << 10;

/// The raw stream below `sys.stdout` or `sys.stderr`: whole lines are handed over at once.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct LogStream {
    stream: Stream,
    /// The beginning of a line. Locked by who holds the interpreter's lock, also in a process that is forked.
    begun: Mutex<Vec<u8>>,
}

#[pymethods]
impl LogStream {
    fn write(&self, data: &[u8]) -> usize {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.extend_from_slice(data);
        let end = begun.iter().rposition(|&byte| byte == b'\n');
        let end = end.map_or(0, |end| end + 1);
        let whole = if begun.len() - end > LONGEST {
            begun.len()
        } else {
            end
        };
        self.hand_over(&mut begun, whole);
        data.len()
    }

    /// Waits until all is written, if the log takes it.
    fn flush(&self, py: Python<'_>) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let all = begun.len();
        self.hand_over(&mut begun, all);
        drop(begun);
        py.detach(|| {
            // It does not fail.
            let _ = self.stream().flush();
        });
    }
}

impl LogStream {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            begun: Mutex::default(),
        }
    }

    fn stream(&self) -> Stream {
        self.stream
    }

    fn hand_over(&self, begun: &mut Vec<u8>, bytes: usize) {
        if bytes > 0 {
            // It does not fail.
            let _ = self.stream().write_all(&begun[..bytes]);
            begun.drain(..bytes);
        }
    }
}

/// Puts them in the place of Python's own, which would wait for a pipe that is full with a thread of the application,
/// and would fail in it when nobody reads.
pub(super) fn replace(py: Python<'_>) -> PyResult<()> {
    let stdout = LogStream::new(Stream::stdout());
    let stderr = LogStream::new(Stream::server_log());
    py.import("tower_wsgi._streams")?
        .call_method1("replace", (stdout, stderr))?;
    Ok(())
}
