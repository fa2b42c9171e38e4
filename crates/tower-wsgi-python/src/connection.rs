//! The ends of a connection, as Python sees them.

use pyo3::prelude::*;
use tower_wsgi::wsgi::Ends;

/// `pulsar.connection`: the ends of the connection.
#[pyclass(frozen, module = "tower_wsgi")]
#[derive(Debug)]
pub(crate) struct Connection(Ends);

impl Connection {
    pub(crate) fn new(ends: &Ends) -> Self {
        Self(ends.clone())
    }
}

#[pymethods]
impl Connection {
    /// The client's host and port; `None` on a Unix socket.
    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        let remote = self.0.remote?;
        Some((remote.ip().to_canonical().to_string(), remote.port()))
    }

    /// The host and port that the client connected to; `None` on a Unix socket.
    #[getter]
    fn server_address(&self) -> Option<(String, u16)> {
        let local = self.0.local?;
        Some((local.ip().to_canonical().to_string(), local.port()))
    }

    fn __repr__(&self) -> String {
        match self.address() {
            Some((host, port)) => format!("<connection from {host} port {port}>"),
            None => "<connection on a Unix socket>".to_owned(),
        }
    }
}
