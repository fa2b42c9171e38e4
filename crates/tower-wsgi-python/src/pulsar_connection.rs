//! `pulsar.connection`: what the environ says of the connection that a request arrived on, with pulsar's names.

use std::net::SocketAddr;

use pyo3::{IntoPyObjectExt as _, prelude::*, types::PyBytes};
use tower_server_info::{ClientCertificate, ConnectInfo, TlsInfo};
use tower_wsgi::wsgi::Environ;

use crate::event_loop::EventLoop;

/// A connection of a client. It is its own transport.
#[pyclass(frozen, module = "tower_wsgi", name = "Connection")]
#[derive(Debug)]
pub(crate) struct PulsarConnection {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    is_secure: bool,
    tls: Option<TlsInfo>,
    server_software: &'static str,
    cfg: Option<Py<PyAny>>,
}

impl PulsarConnection {
    /// `cfg` are the settings of the server.
    pub(crate) fn new(environ: &Environ, cfg: Option<Py<PyAny>>) -> Self {
        let info = environ.extensions().get::<ConnectInfo>();
        Self {
            peer: environ.peer(),
            local: environ.local(),
            is_secure: info.is_some_and(ConnectInfo::is_encrypted),
            tls: environ.tls().cloned(),
            server_software: environ.server_software(),
            cfg,
        }
    }
}

#[pymethods]
impl PulsarConnection {
    /// The host and port of who has connected, which may be a proxy; `None` on a Unix socket.
    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        host_and_port(self.peer)
    }

    /// The host and port that the client connected to; `None` on a Unix socket.
    #[getter]
    fn server_address(&self) -> Option<(String, u16)> {
        host_and_port(self.local)
    }

    /// Whether the connection is encrypted by TLS. Behind a proxy that ends TLS it is not.
    #[getter]
    fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The version of TLS, as in `TLSv1.3`; `None` without TLS.
    #[getter]
    fn tls_version(&self) -> Option<&'static str> {
        self.tls.as_ref().map(TlsInfo::version)
    }

    /// The name of the cipher suite in the registry of IANA; `None` without TLS.
    #[getter]
    fn cipher(&self) -> Option<&'static str> {
        self.tls.as_ref().map(TlsInfo::cipher_suite)
    }

    /// The name of the server that the client has asked for (SNI).
    #[getter]
    fn server_hostname(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name()
    }

    /// The certificate of the client in DER, which the server has verified; `None` if it has none.
    #[getter]
    fn peer_certificate<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let client = self.tls.as_ref()?.client();
        client.map(|client| PyBytes::new(py, ClientCertificate::der(client)))
    }

    /// The event loop of this process, as pulsar's connections have it. It is made if there is none.
    #[getter]
    #[allow(clippy::unused_self, reason = "a property needs it")]
    fn _loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(EventLoop::asyncio(py)?.object(py).clone())
    }

    /// The settings of the server: `pulsar.cfg`.
    #[getter]
    fn cfg(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.cfg.as_ref().map(|cfg| cfg.clone_ref(py))
    }

    /// What has made the connection: the server.
    #[getter]
    fn producer(&self, py: Python<'_>) -> PulsarProducer {
        PulsarProducer {
            local: self.local,
            server_software: self.server_software,
            cfg: self.cfg(py),
        }
    }

    /// What tells about the socket.
    #[getter]
    fn transport<'a, 'py>(this: &'a Bound<'py, Self>) -> &'a Bound<'py, Self> {
        this
    }

    /// As the method of transports of asyncio: `peername`, `sockname`, `cipher`; `default` for all others.
    #[pyo3(signature = (name, default=None))]
    fn get_extra_info<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = match name {
            "peername" => self.address().map(|address| address.into_bound_py_any(py)),
            "sockname" => self
                .server_address()
                .map(|address| address.into_bound_py_any(py)),
            "cipher" => self.tls.as_ref().map(|tls| {
                let bits = None::<u16>;
                (tls.cipher_suite(), tls.version(), bits).into_bound_py_any(py)
            }),
            _ => None,
        };
        Ok(found.transpose()?.or(default))
    }

    fn __repr__(&self) -> String {
        match self.address() {
            Some((host, port)) => format!("<connection from {host} port {port}>"),
            None => "<connection on a Unix socket>".to_owned(),
        }
    }
}

/// The server of a connection.
#[pyclass(frozen, module = "tower_wsgi", name = "Producer")]
#[derive(Debug)]
struct PulsarProducer {
    local: Option<SocketAddr>,
    #[pyo3(get)]
    server_software: &'static str,
    cfg: Option<Py<PyAny>>,
}

#[pymethods]
impl PulsarProducer {
    /// The host and port at which it listens; `None` on a Unix socket.
    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        host_and_port(self.local)
    }

    /// Its settings: `pulsar.cfg`.
    #[getter]
    fn cfg(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.cfg.as_ref().map(|cfg| cfg.clone_ref(py))
    }

    /// The event loop of this process.
    #[getter]
    #[allow(clippy::unused_self, reason = "a property needs it")]
    fn _loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(EventLoop::asyncio(py)?.object(py).clone())
    }
}

fn host_and_port(address: Option<SocketAddr>) -> Option<(String, u16)> {
    address.map(|address| (address.ip().to_canonical().to_string(), address.port()))
}
