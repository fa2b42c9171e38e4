//! A Python callable as an application.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pyo3::prelude::*;
use tower_wsgi::{
    BoxError,
    wsgi::{self, Application},
};

use crate::{
    check, chunks::Chunks, environ::Environs, failure::Failure, file_wrapper::FileWrapper,
    start_response::StartResponse,
};

/// What the calls of one application share.
#[derive(Debug)]
pub(crate) struct Host {
    environs: Environs,
    /// Whether the application is held to the letter of PEP 3333.
    strict: AtomicBool,
}

impl Host {
    pub(crate) fn errors(&self) -> &Py<PyAny> {
        &self.environs.errors
    }

    /// Writes a traceback to `wsgi.errors`, and gives what is logged.
    pub(crate) fn report(&self, py: Python<'_>, error: &PyErr) -> BoxError {
        Failure::report(py, error, self.errors())
    }
}

/// A WSGI callable.
#[derive(Debug)]
pub(crate) struct Callable {
    callable: Py<PyAny>,
    host: Arc<Host>,
}

impl Callable {
    pub(crate) fn new(callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        check::check(callable)?;
        let environs = Environs::new(callable.py())?;
        Ok(Self {
            callable: callable.clone().unbind(),
            host: Arc::new(Host {
                environs,
                strict: AtomicBool::new(false),
            }),
        })
    }

    pub(crate) fn set_strict(&self, strict: bool) {
        self.host.strict.store(strict, Ordering::Relaxed);
    }

    /// Sets a variable in the environ of every request.
    #[cfg(feature = "command")]
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.host.environs.set(py, name, value)
    }

    fn call_attached(
        &self,
        py: Python<'_>,
        environ: wsgi::Environ,
        start_response: &wsgi::StartResponse,
    ) -> PyResult<Chunks> {
        let environ = self.host.environs.make(py, environ)?;
        let callable = self.callable.bind(py);
        let starting = StartResponse {
            inner: start_response.clone(),
            strict: self.host.strict.load(Ordering::Relaxed),
        };
        let starting = Py::new(py, starting)?;
        let iterable = callable.call1((environ, starting))?;
        if let Ok(file) = iterable.cast_exact::<FileWrapper>()
            && file.get().send(py, start_response)
        {
            return Ok(Chunks::over(iterable, &self.host));
        }
        Chunks::new(iterable, &self.host)
    }
}

impl Application for Callable {
    type Chunks = Chunks;

    fn call(
        &self,
        environ: wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> Result<Chunks, BoxError> {
        Python::attach(|py| {
            self.call_attached(py, environ, &start_response)
                .map_err(|error| self.host.report(py, &error))
        })
    }
}
