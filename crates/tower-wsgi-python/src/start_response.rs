//! The callables `start_response` and `write` of PEP 3333 as Python objects.

use std::sync::OnceLock;

use bytes::Bytes;
use http::StatusCode;
use pyo3::{
    exceptions::{PyBaseException, PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyByteArray, PyBytes, PyTuple},
};
use tower_wsgi::wsgi;

use crate::{
    attach::AttachGuard,
    event_loop::{EventLoop, PieceSender},
    exception::type_name,
    file_wrapper::FileWrapper,
    header_fields,
    native_string::Latin1,
};

/// The callable that starts a response.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct StartResponse {
    pub(crate) inner: wsgi::StartResponse,
    /// Whether to follow PEP 3333 exactly, without the leniency of gunicorn.
    strict: bool,
    /// Set when a task of an event loop responds.
    task: OnceLock<(EventLoop, PieceSender)>,
}

#[pymethods]
impl StartResponse {
    // The parameters have the names of gunicorn and wsgiref.
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__(
        this: &Bound<'_, Self>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        let inner = &this.get().inner;
        let write = this.get().call(status, headers, exc_info);
        let write = write.unwrap_or_else(|invalid| {
            detached(this.py(), inner.waits(), || inner.refuse());
            Err(invalid)
        })?;
        Ok(Write {
            inner: write,
            start_response: this.clone().unbind(),
        })
    }

    /// Sends what the application has returned, if it is a file on disk in `wsgi.file_wrapper`. For the script that calls
    /// an application on greenlets.
    fn send_file(&self, body: &Bound<'_, PyAny>) -> bool {
        let file = body.cast_exact::<FileWrapper>();
        file.is_ok_and(|file| file.get().send(body.py(), &self.inner))
    }
}

impl StartResponse {
    pub(crate) fn new(inner: wsgi::StartResponse, strict: bool) -> Self {
        Self {
            inner,
            strict,
            task: OnceLock::new(),
        }
    }

    /// From now on a task of an event loop responds. What is written becomes one of its pieces.
    pub(crate) fn defer(&self, event_loop: &EventLoop, sender: PieceSender) {
        let _ = self.task.set((event_loop.clone(), sender));
    }

    /// The outer error is that of an invalid argument, the inner one that of the call.
    fn call(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyResult<wsgi::Write>> {
        let py = status.py();
        let status = Latin1::new(status, "the status")?;
        let (fields, error) = if self.strict {
            (
                header_fields::strict(headers)?,
                exc_info.map(exception).transpose()?,
            )
        } else {
            (
                header_fields::lenient(headers, status.as_ref().starts_with(b"101"))?,
                exc_info.map_or(Ok(None), lenient_exception)?,
            )
        };
        let completed = match status.as_ref() {
            code if code.len() == 3 && !self.strict => with_reason(code),
            _ => None,
        };
        let status = completed.as_deref().unwrap_or(status.as_ref());
        let sender = self.task.get().map(|(_, sender)| sender);
        // The head is sent with the first piece.
        let has_begun = sender.is_some_and(PieceSender::has_sent);
        if let Some(sender) = sender.filter(|_| !has_begun) {
            sender.set_length(header_fields::content_length(&fields));
        }
        let write = detached(py, self.inner.waits(), || match error {
            Some(error) if has_begun => Err(Raised(error)),
            None => self.inner.start(status, fields).map_err(Raised::from),
            Some(error) => self.inner.restart(status, fields, Raised(error)),
        });
        Ok(write.map_err(|Raised(error)| error))
    }
}

/// The status line for a status code without a reason phrase.
fn with_reason(code: &[u8]) -> Option<Vec<u8>> {
    let status = StatusCode::from_bytes(code).ok()?;
    let reason = status.canonical_reason().unwrap_or_default();
    Some([code, b" ", reason.as_bytes()].concat())
}

/// The exception in an `exc_info` tuple.
fn exception(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = exc_info
        .cast::<PyTuple>()
        .ok()
        .filter(|tuple| tuple.len() == 3)
        .and_then(|tuple| tuple.get_item(1).ok())
        .filter(PyAnyMethods::is_instance_of::<PyBaseException>);
    value.map(PyErr::from_value).ok_or_else(|| {
        PyTypeError::new_err(
            "exc_info must be the tuple that sys.exc_info() returns in an except clause",
        )
    })
}

/// The same for an `exc_info` that may also be empty, or the result of `sys.exc_info()` without an exception: such a
/// call replaces an earlier one too, unless the headers have been sent.
fn lenient_exception(exc_info: &Bound<'_, PyAny>) -> PyResult<Option<PyErr>> {
    if !exc_info.is_truthy()? {
        return Ok(None);
    }
    let is_none =
        |tuple: &Bound<'_, PyTuple>| tuple.len() == 3 && tuple.iter().all(|item| item.is_none());
    match (exception(exc_info), exc_info.cast::<PyTuple>()) {
        (Err(error), Ok(tuple)) if is_none(tuple) => Ok(Some(error)),
        (result, _) => result.map(Some),
    }
}

/// An exception to raise in the application.
struct Raised(PyErr);

impl From<wsgi::StartError> for Raised {
    fn from(error: wsgi::StartError) -> Self {
        let text = error.to_string();
        Self(match error {
            wsgi::StartError::CalledTwice => PyRuntimeError::new_err(text),
            _ => PyValueError::new_err(text),
        })
    }
}

/// The callable that PEP 3333 names `write`.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct Write {
    inner: wsgi::Write,
    start_response: Py<StartResponse>,
}

#[pymethods]
impl Write {
    /// `force` is an argument of pulsar. It has no effect: data is always sent at once.
    ///
    /// On an event loop it never waits. Where the client has not taken 64 KiB, it returns an awaitable that is done when
    /// there is room.
    #[pyo3(signature = (data, force=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        force: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let start_response = self.start_response.get();
        let strict = start_response.strict;
        if strict && force.is_some() {
            return Err(PyTypeError::new_err("write takes one argument"));
        }
        let data = if let Ok(bytes) = data.cast::<PyBytes>() {
            Bytes::copy_from_slice(bytes.as_bytes())
        } else if let Ok(bytes) = data.cast::<PyByteArray>()
            && !strict
        {
            bytes.to_vec().into()
        } else {
            return Err(PyTypeError::new_err(format!(
                "write takes bytes, not {}",
                type_name(data)
            )));
        };
        if let Some((event_loop, sender)) = start_response.task.get() {
            return event_loop.write(py, sender, data);
        }
        detached(py, self.inner.waits(), || self.inner.write(data))?;
        Ok(None)
    }
}

/// Does work that may wait for the client, or for another thread of the same request. On a thread of a pool, the pool
/// detaches from the interpreter; on a thread of the application, this function does.
fn detached<T: Send>(py: Python<'_>, waits: bool, work: impl FnOnce() -> T + Send) -> T {
    if !waits || AttachGuard::is_held() {
        work()
    } else {
        py.detach(work)
    }
}
