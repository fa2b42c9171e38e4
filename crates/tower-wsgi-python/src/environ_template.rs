//! Templates of environs: the variables that many requests share are set once, and copied with the dictionary.
//!
//! There are two levels: one template for each address of the server, and one for each client that requests have come
//! from lately: a connection, or what a trusted proxy says.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use pyo3::{intern, prelude::*, types::PyDict, types::PyString};
use tower_server_info::{ClientAddress, TlsInfo};
use tower_wsgi::wsgi::Environ;

use crate::{
    file_wrapper::FileWrapper, native_string::decode, pulsar_connection::PulsarConnection,
};

/// The maximum number of server templates. A server has few addresses.
const MAX_SERVERS: usize = 16;

/// The number of slots for client templates. Connections whose ports differ by a multiple of twice this share a slot, and so
/// do clients behind a proxy whose addresses differ by a multiple of this.
const CLIENT_SLOTS: usize = 256;

/// The templates of an application's environs.
#[derive(Debug)]
pub(crate) struct Templates {
    /// The variables of every request.
    base: Py<PyDict>,
    servers: Mutex<Vec<(Key, Py<PyDict>)>>,
    clients: Mutex<[Option<Client>; CLIENT_SLOTS]>,
}

/// The properties of a request on which a server template depends.
#[derive(Debug)]
struct Key {
    local: Option<SocketAddr>,
    /// Otherwise the environ gets the server's address for each request.
    has_fixed_address: bool,
    url_scheme: &'static str,
    multithread: bool,
    multiprocess: bool,
    script_name: Box<[u8]>,
}

/// A client template.
#[derive(Debug)]
struct Client {
    address: Option<ClientAddress>,
    /// A proxy says the address: it is not that of a connection.
    is_forwarded: bool,
    /// Of another connection of the same client it may be different.
    tls: Option<TlsInfo>,
    key: Key,
    environ: Py<PyDict>,
}

impl Templates {
    pub(crate) fn new(py: Python<'_>, errors: &Bound<'_, PyAny>) -> PyResult<Self> {
        let base = PyDict::new(py);
        // Right for most requests.
        base.set_item(intern!(py, "REQUEST_METHOD"), intern!(py, "GET"))?;
        base.set_item(intern!(py, "SERVER_PROTOCOL"), intern!(py, "HTTP/1.1"))?;
        base.set_item(intern!(py, "QUERY_STRING"), "")?;
        // Placeholders for what each request or client sets: with them a copy has the right size.
        for name in [
            intern!(py, "PATH_INFO"),
            intern!(py, "REQUEST_URI"),
            intern!(py, "RAW_URI"),
            intern!(py, "SERVER_NAME"),
            intern!(py, "SERVER_PORT"),
            intern!(py, "REMOTE_ADDR"),
            intern!(py, "pulsar.connection"),
            intern!(py, "wsgi.input"),
        ] {
            base.set_item(name, "")?;
        }
        base.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        base.set_item(intern!(py, "wsgi.errors"), errors)?;
        base.set_item(intern!(py, "wsgi.run_once"), false)?;
        base.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        let file_wrapper = py.get_type::<FileWrapper>();
        base.set_item(intern!(py, "wsgi.file_wrapper"), file_wrapper)?;
        Ok(Self {
            base: base.unbind(),
            servers: Mutex::default(),
            clients: Mutex::new([const { None }; CLIENT_SLOTS]),
        })
    }

    /// Sets a variable of every request. Templates that exist already do not get it.
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.base.bind(py).set_item(name, value)
    }

    /// A copy of the template for this request's client.
    pub(crate) fn copy<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let known = self.find_client(py, environ);
        let template = known.map_or_else(|| self.add_client(py, environ), Ok)?;
        let copy = template.copy()?;
        if environ.forwarded().is_some() {
            // The connections of a proxy have the requests of many clients.
            set_connection(&copy, environ)?;
        }
        Ok(copy)
    }

    fn find_client<'py>(&self, py: Python<'py>, environ: &Environ) -> Option<Bound<'py, PyDict>> {
        let address = environ.client();
        let clients = lock(&self.clients);
        let client = clients[slot(address)].as_ref()?;
        let is_same = client.address == address
            && client.is_forwarded == environ.forwarded().is_some()
            && client.tls.as_ref() == environ.tls()
            && client.key.matches(environ);
        is_same.then(|| client.environ.bind(py).clone())
    }

    fn add_client<'py>(&self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        let address = environ.client();
        let dict = self.copy_of_server(py, environ)?;
        let ip = address.map(|address| address.ip.to_canonical().to_string());
        // CGI requires it (RFC 3875 section 4.1.8), also for a client without an address.
        let ip = PyString::new(py, &ip.unwrap_or_default());
        dict.set_item(intern!(py, "REMOTE_ADDR"), ip)?;
        if let Some(port) = address.and_then(|address| address.port) {
            dict.set_item(intern!(py, "REMOTE_PORT"), port.to_string())?;
        }
        for (name, value) in environ.tls_variables() {
            dict.set_item(name, decode(py, &value))?;
        }
        set_connection(&dict, environ)?;
        let client = Client {
            address,
            is_forwarded: environ.forwarded().is_some(),
            tls: environ.tls().cloned(),
            key: Key::new(environ),
            environ: dict.clone().unbind(),
        };
        let before = lock(&self.clients)[slot(address)].replace(client);
        drop(before);
        Ok(dict)
    }

    fn copy_of_server<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        if let Some(template) = self.find_server(py, environ) {
            return template.copy();
        }
        let template = self.server_template(py, environ)?;
        let copy = template.copy()?;
        let mut servers = lock(&self.servers);
        if servers.len() < MAX_SERVERS {
            servers.push((Key::new(environ), template.unbind()));
        }
        Ok(copy)
    }

    fn find_server<'py>(&self, py: Python<'py>, environ: &Environ) -> Option<Bound<'py, PyDict>> {
        let servers = lock(&self.servers);
        let (_, template) = servers.iter().find(|(key, _)| key.matches(environ))?;
        Some(template.bind(py).clone())
    }

    fn server_template<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let template = self.base.bind(py).copy()?;
        template.set_item("SCRIPT_NAME", decode(py, environ.script_name()))?;
        template.set_item("SERVER_SOFTWARE", environ.server_software())?;
        if environ.has_fixed_address() {
            let (name, port) = environ.server_address();
            template.set_item("SERVER_NAME", decode(py, &name))?;
            template.set_item("SERVER_PORT", decode(py, &port))?;
        }
        template.set_item("wsgi.url_scheme", environ.url_scheme())?;
        if environ.url_scheme() == "https" {
            template.set_item("HTTPS", "on")?;
        }
        template.set_item("wsgi.multithread", environ.multithread())?;
        template.set_item("wsgi.multiprocess", environ.multiprocess())?;
        Ok(template)
    }
}

fn set_connection(dict: &Bound<'_, PyDict>, environ: &Environ) -> PyResult<()> {
    let py = dict.py();
    let cfg = dict.get_item(intern!(py, "pulsar.cfg"))?;
    let connection = PulsarConnection::new(environ, cfg.map(Bound::unbind));
    dict.set_item(intern!(py, "pulsar.connection"), Py::new(py, connection)?)
}

/// Code under these locks must not run Python's garbage collector: a finalizer may detach this thread, and another
/// thread would then wait for the lock while it holds the interpreter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Linux gives connections to one address every other port. Clients whose proxy names no port differ in their addresses.
fn slot(client: Option<ClientAddress>) -> usize {
    let Some(client) = client else {
        return 0;
    };
    let number = match (client.port, client.ip) {
        (Some(port), _) => port / 2,
        (None, IpAddr::V4(ip)) => ip.octets()[3].into(),
        (None, IpAddr::V6(ip)) => ip.segments()[7],
    };
    usize::from(number) % CLIENT_SLOTS
}

impl Key {
    fn new(environ: &Environ) -> Self {
        Self {
            local: environ.local(),
            has_fixed_address: environ.has_fixed_address(),
            url_scheme: environ.url_scheme(),
            multithread: environ.multithread(),
            multiprocess: environ.multiprocess(),
            script_name: environ.script_name().into(),
        }
    }

    fn matches(&self, environ: &Environ) -> bool {
        self.local == environ.local()
            && self.has_fixed_address == environ.has_fixed_address()
            && self.url_scheme == environ.url_scheme()
            && self.multithread == environ.multithread()
            && self.multiprocess == environ.multiprocess()
            && *self.script_name == *environ.script_name()
    }
}
