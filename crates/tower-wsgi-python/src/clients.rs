//! What is the same in the environs of a client's requests.

use std::sync::{Mutex, PoisonError};

use pyo3::{intern, prelude::*, types::PyDict, types::PyString};
use tower_wsgi::wsgi::{Ends, Environ};

use crate::connection::Connection;

/// How many clients are remembered. Two of them with ports that are this far apart take turns.
const SLOTS: usize = 256;

/// The connections that requests have come from lately.
#[derive(Debug)]
pub(crate) struct Clients(Mutex<[Option<Client>; SLOTS]>);

#[derive(Debug)]
struct Client {
    ends: Ends,
    variables: Variables,
}

#[derive(Debug)]
struct Variables {
    address: Py<PyString>,
    port: Option<Py<PyString>>,
    connection: Py<Connection>,
}

impl Default for Clients {
    fn default() -> Self {
        Self(Mutex::new([const { None }; SLOTS]))
    }
}

impl Clients {
    /// Sets what is known of the client in an environ.
    pub(crate) fn set(&self, environ: &Environ, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        let (py, ends) = (dict.py(), environ.ends());
        let variables = match self.find(py, ends) {
            Some(variables) => variables,
            None => self.remember(py, ends)?,
        };
        dict.set_item(intern!(py, "REMOTE_ADDR"), variables.address)?;
        if let Some(port) = variables.port {
            dict.set_item(intern!(py, "REMOTE_PORT"), port)?;
        }
        dict.set_item(intern!(py, "pulsar.connection"), variables.connection)
    }

    fn find(&self, py: Python<'_>, ends: &Ends) -> Option<Variables> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients[slot(ends)].as_ref()?;
        (client.ends == *ends).then(|| client.variables.clone_ref(py))
    }

    fn remember(&self, py: Python<'_>, ends: &Ends) -> PyResult<Variables> {
        let variables = Variables::new(py, ends)?;
        let client = Client {
            ends: ends.clone(),
            variables: variables.clone_ref(py),
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = clients[slot(ends)].replace(client);
        drop(clients);
        drop(before);
        Ok(variables)
    }
}

/// Linux gives connections to the same address every other port.
fn slot(ends: &Ends) -> usize {
    let port = ends.remote.map_or(0, |remote| remote.port());
    usize::from(port / 2) % SLOTS
}

impl Variables {
    fn new(py: Python<'_>, ends: &Ends) -> PyResult<Self> {
        let address = ends.remote.map(|remote| remote.ip().to_canonical());
        let address = address.map(|address| address.to_string());
        let port = ends.remote.map(|remote| remote.port().to_string());
        Ok(Self {
            // CGI demands it (RFC 3875 section 4.1.8), also where the client has no address.
            address: PyString::new(py, &address.unwrap_or_default()).unbind(),
            port: port.map(|port| PyString::new(py, &port).unbind()),
            connection: Py::new(py, Connection::new(ends))?,
        })
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            address: self.address.clone_ref(py),
            port: self.port.as_ref().map(|port| port.clone_ref(py)),
            connection: self.connection.clone_ref(py),
        }
    }
}
