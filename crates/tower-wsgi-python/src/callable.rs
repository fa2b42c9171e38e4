//! A Python callable as an [`Application`].

use std::sync::Arc;

use pyo3::prelude::*;
use tower_wsgi::{
    BoxError,
    wsgi::{self, Application, Reply},
};

use crate::{
    chunks::Chunks, environ::EnvironBuilder, exception::WsgiErrors, file_wrapper::FileWrapper,
    start_response::StartResponse, validate,
};

/// A WSGI application written in Python.
#[derive(Debug)]
pub(crate) struct Callable {
    callable: Py<PyAny>,
    environs: EnvironBuilder,
    errors: Arc<WsgiErrors>,
    /// Whether to follow PEP 3333 exactly, without the leniency of gunicorn.
    strict: bool,
}

impl Callable {
    /// An error if `callable` cannot be a WSGI application.
    pub(crate) fn new(callable: &Bound<'_, PyAny>, strict: bool) -> PyResult<Self> {
        validate::check_signature(callable)?;
        let errors = callable.py().import("sys")?.getattr("stderr")?;
        Ok(Self {
            callable: callable.clone().unbind(),
            environs: EnvironBuilder::new(&errors)?,
            errors: Arc::new(WsgiErrors::new(errors.unbind())),
            strict,
        })
    }

    /// Sets a variable in the environ of every request. To be called before the first request.
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.environs.set(py, name, value)
    }

    fn call_attached(
        &self,
        py: Python<'_>,
        environ: &mut wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> PyResult<Chunks> {
        let environ = self.environs.build(py, environ)?;
        let start_response = StartResponse {
            inner: start_response,
            strict: self.strict,
        };
        let start_response = Bound::new(py, start_response)?;
        let iterable = self
            .callable
            .bind(py)
            .call1((environ, start_response.clone()))?;
        if let Ok(file) = iterable.cast_exact::<FileWrapper>()
            && file.get().send(py, &start_response.get().inner)
        {
            return Ok(Chunks::only_to_close(iterable, &self.errors));
        }
        Chunks::new(iterable, &self.errors)
    }
}

impl Application for Callable {
    type Chunks = Chunks;

    fn call(
        &self,
        mut environ: wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> Result<Reply<Chunks>, BoxError> {
        // By reference: the request is large.
        let environ = &mut environ;
        Python::attach(|py| {
            self.call_attached(py, environ, start_response)
                .map(Reply::Chunks)
                .map_err(|error| self.errors.report(py, &error))
        })
    }
}
