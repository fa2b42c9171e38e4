//! The addresses of a connection, as Python sees them.

use std::net::SocketAddr;

use pyo3::prelude::*;
use tower_wsgi::wsgi::Environ;

/// `pulsar.connection`: the addresses of the connection.
#[pyclass(frozen, module = "tower_wsgi")]
#[derive(Debug)]
pub(crate) struct Connection {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl Connection {
    pub(crate) fn new(environ: &Environ) -> Self {
        Self {
            peer: environ.peer(),
            local: environ.local(),
        }
    }
}

#[pymethods]
impl Connection {
    /// The client's host and port; `None` on a Unix socket.
    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        let peer = self.peer?;
        Some((peer.ip().to_canonical().to_string(), peer.port()))
    }

    /// The host and port that the client connected to; `None` on a Unix socket.
    #[getter]
    fn server_address(&self) -> Option<(String, u16)> {
        let local = self.local?;
        Some((local.ip().to_canonical().to_string(), local.port()))
    }

    fn __repr__(&self) -> String {
        match self.address() {
            Some((host, port)) => format!("<connection from {host} port {port}>"),
            None => "<connection on a Unix socket>".to_owned(),
        }
    }
}
