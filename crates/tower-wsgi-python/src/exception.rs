//! Python exceptions: the traceback goes to `wsgi.errors`, one line to the server's log.

use std::{error::Error, fmt};

use pyo3::{intern, prelude::*};
use tower_wsgi::BoxError;

/// An exception that the application raised, as one line without the traceback.
#[derive(Debug)]
pub(crate) struct ApplicationError(String);

impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ApplicationError {}

/// The stream `wsgi.errors`.
#[derive(Debug)]
pub(crate) struct WsgiErrors(Py<PyAny>);

impl WsgiErrors {
    /// `stream` is a text stream of Python, such as `sys.stderr`.
    pub(crate) fn new(stream: Py<PyAny>) -> Self {
        Self(stream)
    }

    /// Writes the traceback of `error` to the stream, and returns the line for the log.
    pub(crate) fn report(&self, py: Python<'_>, error: &PyErr) -> BoxError {
        let line = error.to_string();
        let written = traceback(py, error).and_then(|text| {
            let stream = self.0.bind(py);
            stream.call_method1(intern!(py, "write"), (text,))?;
            stream.call_method0(intern!(py, "flush"))
        });
        if let Err(problem) = written {
            tracing::warn!(error = %problem, "cannot write a traceback to wsgi.errors");
        }
        Box::new(ApplicationError(line))
    }
}

/// The traceback as the interpreter prints it.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py
        .import(intern!(py, "traceback"))?
        .call_method1(
            intern!(py, "format_exception"),
            (error.get_type(py), error.value(py), error.traceback(py)),
        )?
        .extract::<Vec<String>>()?;
    Ok(lines.concat())
}

/// The name of an object's type, for error messages.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name();
    name.map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
