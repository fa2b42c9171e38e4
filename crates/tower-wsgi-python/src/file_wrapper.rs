//! `wsgi.file_wrapper`: a file as the body of a response.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
};

use pyo3::{intern, prelude::*};
use tower_wsgi::wsgi;

/// PEP 3333's `wsgi.file_wrapper`: an iterable over the blocks of a file. If an application returns it, and it wraps a
/// file on disk, the server sends that file without calling Python.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { filelike, blksize }
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self
            .filelike
            .bind(py)
            .call_method1(intern!(py, "read"), (self.blksize,))?;
        Ok(block.is_truthy()?.then_some(block))
    }

    /// Whether `seek` and `tell` work. If they do, Werkzeug seeks to the start of a range instead of reading everything
    /// before it.
    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        match self
            .filelike
            .bind(py)
            .getattr_opt(intern!(py, "seekable"))?
        {
            Some(seekable) => seekable.call0()?.is_truthy(),
            None => Ok(false),
        }
    }

    #[pyo3(signature = (offset, whence=0))]
    fn seek<'py>(&self, py: Python<'py>, offset: i64, whence: i32) -> PyResult<Bound<'py, PyAny>> {
        let filelike = self.filelike.bind(py);
        filelike.call_method1(intern!(py, "seek"), (offset, whence))
    }

    fn tell<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.filelike.bind(py).call_method0(intern!(py, "tell"))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(close) = self.filelike.bind(py).getattr_opt(intern!(py, "close"))? {
            close.call0()?;
        }
        Ok(())
    }
}

impl FileWrapper {
    /// Hands the file to the server if it is a binary file on disk. Returns whether it was.
    pub(crate) fn send(&self, py: Python<'_>, start_response: &wsgi::StartResponse) -> bool {
        match self.file(py) {
            Ok(Some(file)) => start_response.send_file(file).is_ok(),
            // If something is wrong with it, iterating over it raises the exception.
            Ok(None) | Err(_) => false,
        }
    }

    fn file(&self, py: Python<'_>) -> PyResult<Option<File>> {
        let filelike = self.filelike.bind(py);
        let io = py.import(intern!(py, "io"))?;
        // Other classes, also subclasses, may return other bytes than those on disk.
        let is = |object: &Bound<'_, PyAny>, name| {
            let class = io.getattr(name)?;
            Ok::<_, PyErr>(object.get_type().is(&class))
        };
        let buffered = is(filelike, "BufferedReader")? || is(filelike, "BufferedRandom")?;
        let raw = if buffered {
            filelike.getattr(intern!(py, "raw"))?
        } else {
            filelike.clone()
        };
        if !is(&raw, "FileIO")? {
            return Ok(None);
        }
        let position = filelike.call_method0(intern!(py, "tell"))?.extract()?;
        let descriptor: i32 = filelike.call_method0(intern!(py, "fileno"))?.extract()?;
        // Reopened, because the position of the application's file must not move.
        let mut file = File::open(format!("/proc/self/fd/{descriptor}"))?;
        file.seek(SeekFrom::Start(position))?;
        Ok(Some(file))
    }
}
