//! A Python callable as an [`Application`].

use std::sync::Arc;

use pyo3::{prelude::*, types::PyList};
use tower_wsgi::{
    BoxError,
    wsgi::{self, Application, Reply},
};

use crate::{
    chunks::Chunks,
    environ::EnvironBuilder,
    exception::WsgiErrors,
    file_wrapper::FileWrapper,
    start_response::StartResponse,
    validate,
    websocket::{Outcome, UpgradeOffer, is_end_of_socket},
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

    /// The same for a WebSocket request. If its response was sent because of what the application wrote to its socket, what
    /// it returns is discarded, and so is an exception by which a library says that the socket is closed.
    fn call_with_offer(
        &self,
        py: Python<'_>,
        environ: &mut wsgi::Environ,
        start_response: &wsgi::StartResponse,
        offer: &UpgradeOffer,
    ) -> PyResult<Chunks> {
        let result = self.call_attached(py, environ, start_response.clone());
        match (offer.end(py), result) {
            (Outcome::Ordinary, result) => return result,
            (Outcome::Responded, Ok(chunks)) => drop(chunks),
            (Outcome::Responded, Err(error)) if is_end_of_socket(py, &error) => {}
            (Outcome::Responded, Err(error)) => return Err(error),
        }
        // No task waits for it, but a response has to be started.
        let unused = BoxError::from("the response was sent by a socket");
        let _ = start_response.restart::<&str, &str, _>("204 No Content", [], unused);
        Chunks::new(PyList::empty(py).into_any(), &self.errors)
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
        let offer = environ.extensions().get::<UpgradeOffer>().cloned();
        Python::attach(|py| {
            let result = match &offer {
                None => self.call_attached(py, environ, start_response),
                Some(offer) => self.call_with_offer(py, environ, &start_response, offer),
            };
            result
                .map(Reply::Chunks)
                .map_err(|error| self.errors.report(py, &error))
        })
    }
}
