//! The callables `start_response` and `write` of PEP 3333 as Python objects.

use std::sync::OnceLock;

use bytes::Bytes;
use http::StatusCode;
use pyo3::{
    exceptions::{PyBaseException, PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyByteArray, PyBytes, PyIterator, PyList, PyTuple},
};
use tower_wsgi::wsgi;

use crate::{
    attach::AttachGuard,
    event_loop::{EventLoop, PieceSender},
    exception::type_name,
    file_wrapper::FileWrapper,
    header_fields,
    native_string::Latin1,
    response_facts::ResponseFacts,
};

/// The callable that starts a response. It is its own owner, pulsar's `HttpServerResponse`: what that says of the
/// response is in `response_facts`.
#[pyclass(frozen, module = "tower_wsgi", name = "HttpServerResponse")]
pub(crate) struct StartResponse {
    pub(crate) inner: wsgi::StartResponse,
    /// Whether to follow PEP 3333 exactly, without the leniency of gunicorn.
    strict: bool,
    /// Set when a task of an event loop responds.
    task: OnceLock<(EventLoop, PieceSender)>,
    pub(crate) facts: ResponseFacts,
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
        let list;
        let headers = if this.get().strict || !is_iterator(headers) {
            headers
        } else {
            // It can be read only once, and the application may ask for the fields later.
            let items: Vec<_> = headers.try_iter()?.collect::<PyResult<_>>()?;
            list = PyList::new(this.py(), items)?.into_any();
            &list
        };
        let write = this.get().call(status, headers, exc_info);
        let write = write.unwrap_or_else(|invalid| {
            detached(this.py(), inner.waits(), || inner.refuse());
            Err(invalid)
        })?;
        this.get().facts.set_head(status, headers);
        Ok(Write {
            inner: write,
            start_response: this.clone().unbind(),
        })
    }

    /// Where pulsar's `start_response` is a method, this is its object.
    #[getter(__self__)]
    fn owner<'a, 'py>(this: &'a Bound<'py, Self>) -> &'a Bound<'py, Self> {
        this
    }

    /// The same as a method of the owner.
    #[getter(start_response)]
    fn method<'a, 'py>(this: &'a Bound<'py, Self>) -> &'a Bound<'py, Self> {
        this
    }

    /// Sends a piece of the body, as what `start_response` returns.
    #[pyo3(signature = (data, force=None))]
    fn write<'py>(
        this: &Bound<'py, Self>,
        data: &Bound<'py, PyAny>,
        force: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if this.get().status(this.py()).is_none() {
            return Err(PyRuntimeError::new_err(
                "nothing can be written before start_response is called",
            ));
        }
        let write = Write {
            inner: this.get().inner.write(),
            start_response: this.clone().unbind(),
        };
        write.__call__(this.py(), data, force)
    }

    /// The status of the response; `None` before `start_response` is called.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.facts.status(py)
    }

    /// The header fields of the response as a list of pairs: those of the application. The server adds its own, such as
    /// `Date`.
    fn get_headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.facts.headers(py)
    }

    /// The first line and the header fields of the response as bytes, when they are on their way to the client and can no
    /// longer be changed; before, `None`.
    #[getter]
    fn headers_sent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if !self.is_sent() {
            return Ok(None);
        }
        self.facts.head(py)
    }

    /// Whether the body is sent in chunks: to a client that speaks HTTP/1.1, without a `Content-Length`. The server may
    /// know the length of a body even so, such as that of a list with one item.
    fn is_chunked(&self, py: Python<'_>) -> PyResult<bool> {
        self.facts.is_chunked(py)
    }

    /// The same as an attribute.
    #[getter]
    fn chunked(&self, py: Python<'_>) -> PyResult<bool> {
        self.facts.is_chunked(py)
    }

    /// What the field `Content-Length` says, or `None`.
    #[getter]
    fn content_length(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.facts.content_length(py)
    }

    /// The protocol of the response, as in `HTTP/1.1`.
    #[getter]
    fn version(&self) -> &'static str {
        self.facts.protocol()
    }

    /// The field `Upgrade` of the response, or `None`.
    #[getter]
    fn upgrade(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.facts.field(py, "upgrade")
    }

    /// Sends what the application has returned, if it is a file on disk in `wsgi.file_wrapper`. For the script that calls
    /// an application on greenlets.
    fn send_file(&self, body: &Bound<'_, PyAny>) -> bool {
        let file = body.cast_exact::<FileWrapper>();
        file.is_ok_and(|file| file.get().send(body.py(), &self.inner))
    }
}

impl StartResponse {
    pub(crate) fn new(inner: wsgi::StartResponse, strict: bool, environ: &wsgi::Environ) -> Self {
        Self {
            inner,
            strict,
            task: OnceLock::new(),
            facts: ResponseFacts::new(environ),
        }
    }

    /// Whether the head is on its way.
    fn is_sent(&self) -> bool {
        let task = self.task.get();
        task.is_some_and(|(_, sender)| sender.has_sent()) || self.inner.is_sent()
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

/// Whether these are the items of something else, as of a generator.
fn is_iterator(headers: &Bound<'_, PyAny>) -> bool {
    !headers.is_instance_of::<PyList>() && headers.cast::<PyIterator>().is_ok()
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
