//! `start_response` and `write`, as Python sees them.

use bytes::Bytes;
use pyo3::{
    exceptions::{PyBaseException, PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyList, PyTuple},
};
use tower_wsgi::wsgi;

use crate::{
    attached::Attached,
    text::{Latin1, type_name},
};

/// The callable that begins a response, see PEP 3333.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct StartResponse(pub(crate) wsgi::StartResponse);

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, response_headers, exc_info=None))]
    fn __call__(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        response_headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        self.call(status, response_headers, exc_info)
            .unwrap_or_else(|unreadable| {
                apart(py, self.0.waits(), || self.0.refuse());
                Err(unreadable)
            })
    }
}

impl StartResponse {
    /// The outer error says that an argument is of no use.
    fn call(
        &self,
        status: &Bound<'_, PyAny>,
        response_headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyResult<Write>> {
        let status = Latin1::new(status, "the status")?;
        let list = response_headers.cast::<PyList>().map_err(|_| {
            PyTypeError::new_err(format!(
                "the response headers must be a list, not {}",
                type_name(response_headers)
            ))
        })?;
        let mut headers = Vec::with_capacity(list.len());
        for item in list {
            headers.push(pair(&item)?);
        }
        let error = exc_info.map(exception).transpose()?;
        let write = apart(list.py(), self.0.waits(), || match error {
            None => self.0.start(status, headers).map_err(Raised::from),
            Some(error) => self.0.restart(status, headers, Raised(error)),
        });
        Ok(write.map(Write).map_err(|Raised(error)| error))
    }
}

/// The name and the value of a response header.
fn pair(item: &Bound<'_, PyAny>) -> PyResult<(Latin1, Latin1)> {
    match item.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 2 => Ok((
            Latin1::new(&tuple.get_item(0)?, "the header name")?,
            Latin1::new(&tuple.get_item(1)?, "the header value")?,
        )),
        _ => Err(PyTypeError::new_err(format!(
            "each response header must be a tuple of a name and a value, not {}",
            item.repr()?
        ))),
    }
}

/// The exception of an `exc_info`.
fn exception(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = exc_info
        .cast::<PyTuple>()
        .ok()
        .filter(|tuple| tuple.len() == 3)
        .and_then(|tuple| tuple.get_item(1).ok())
        .filter(PyAnyMethods::is_instance_of::<PyBaseException>);
    value.map(PyErr::from_value).ok_or_else(|| {
        PyTypeError::new_err(
            "exc_info must be the tuple that sys.exc_info() gives in an except clause",
        )
    })
}

/// An exception for the application.
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
pub(crate) struct Write(wsgi::Write);

#[pymethods]
impl Write {
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data.cast::<PyBytes>().map_err(|_| {
            PyTypeError::new_err(format!("write takes bytes, not {}", type_name(data)))
        })?;
        let data = Bytes::copy_from_slice(data.as_bytes());
        apart(py, self.0.waits(), || self.0.write(data)).map_err(Into::into)
    }
}

/// Does what may wait for the client, or for another thread of the same request. On a pool's own thread it
/// is the pool that gives the interpreter up; a thread of the application's does it here.
fn apart<T: Send>(py: Python<'_>, waits: bool, work: impl FnOnce() -> T + Send) -> T {
    if !waits || Attached::is_here() {
        work()
    } else {
        py.detach(work)
    }
}
