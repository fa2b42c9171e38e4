//! What is the same in the environs of a client's requests.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pyo3::{intern, prelude::*, types::PyDict, types::PyString};
use tower_wsgi::wsgi::Environ;

use crate::{
    connection::Connection,
    template::{Key, Templates},
};

/// How many clients are remembered. Two of them with ports that are this far apart take turns.
const SLOTS: usize = 256;

/// Environs to be copied, one for each of the connections that requests have come from lately.
#[derive(Debug)]
pub(crate) struct Clients {
    templates: Templates,
    slots: Mutex<[Option<Client>; SLOTS]>,
}

#[derive(Debug)]
struct Client {
    remote: Option<SocketAddr>,
    key: Key,
    environ: Py<PyDict>,
}

impl Clients {
    pub(crate) fn new(templates: Templates) -> Self {
        Self {
            templates,
            slots: Mutex::new([const { None }; SLOTS]),
        }
    }

    /// Sets a variable in the environs of clients that come from now on.
    #[cfg(feature = "command")]
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.templates.set(py, name, value)
    }

    /// A copy of the one for this client.
    pub(crate) fn copy<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let known = self.find(py, environ);
        known.map_or_else(|| self.remember(py, environ), Ok)?.copy()
    }

    fn find<'py>(&self, py: Python<'py>, environ: &Environ) -> Option<Bound<'py, PyDict>> {
        let remote = environ.peer();
        let slots = self.lock();
        let client = slots[slot(remote)].as_ref()?;
        let is_same = client.remote == remote && client.key.is_of(environ);
        is_same.then(|| client.environ.bind(py).clone())
    }

    fn remember<'py>(&self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        let remote = environ.peer();
        let dict = self.templates.copy(py, environ)?;
        let address = remote.map(|remote| remote.ip().to_canonical().to_string());
        // CGI demands it (RFC 3875 section 4.1.8), also where the client has no address.
        let address = PyString::new(py, &address.unwrap_or_default());
        dict.set_item(intern!(py, "REMOTE_ADDR"), address)?;
        if let Some(remote) = remote {
            dict.set_item(intern!(py, "REMOTE_PORT"), remote.port().to_string())?;
        }
        let connection = Py::new(py, Connection::new(environ))?;
        dict.set_item(intern!(py, "pulsar.connection"), connection)?;
        let client = Client {
            remote,
            key: Key::new(environ),
            environ: dict.clone().unbind(),
        };
        let before = self.lock()[slot(remote)].replace(client);
        drop(before);
        Ok(dict)
    }

    /// Nothing that may run Python's garbage collection is done under the lock: what that runs may let
    /// another thread have the interpreter, which would wait for the lock with it.
    fn lock(&self) -> MutexGuard<'_, [Option<Client>; SLOTS]> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Linux gives connections to the same address every other port.
fn slot(remote: Option<SocketAddr>) -> usize {
    let port = remote.map_or(0, |remote| remote.port());
    usize::from(port / 2) % SLOTS
}
