//! What an application raises.

use std::{error::Error, fmt};

use pyo3::{intern, prelude::*};
use tower_wsgi::BoxError;

/// An exception of the application, in one line. Its traceback is where `wsgi.errors` goes.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// Writes the traceback to `errors`.
    pub(crate) fn report(py: Python<'_>, error: &PyErr, errors: &Py<PyAny>) -> BoxError {
        let line = error.to_string();
        let written = traceback(py, error).and_then(|text| {
            let errors = errors.bind(py);
            errors.call_method1(intern!(py, "write"), (text,))?;
            errors.call_method0(intern!(py, "flush"))
        });
        if let Err(problem) = written {
            tracing::warn!(error = %problem, "cannot write a traceback to wsgi.errors");
        }
        Box::new(Self(line))
    }
}

/// As the interpreter prints it.
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}
