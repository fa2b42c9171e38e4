//! The environ as a Python dictionary.

use std::{
    collections::HashMap,
    os::fd::{IntoRawFd as _, OwnedFd},
    sync::{Mutex, PoisonError},
};

use http::{HeaderName, header};
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use tower_wsgi::{
    body::Stored,
    wsgi::{Ends, Environ, Input, Variable},
};

use crate::{file_wrapper::FileWrapper, text::decode};

/// How many header names of clients are kept as Python strings.
const MOST_NAMES: usize = 1024;

/// The header fields that clients usually send.
const USUAL: [HeaderName; 20] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::COOKIE,
    header::DNT,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    header::TRANSFER_ENCODING,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
];

/// Makes environs: what is the same in all of them is made once.
#[derive(Debug)]
pub(crate) struct Environs {
    same: Py<PyDict>,
    /// `wsgi.errors`.
    pub(crate) errors: Py<PyAny>,
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
    usual: HashMap<HeaderName, Py<PyString>>,
    others: Mutex<HashMap<HeaderName, Py<PyString>>>,
}

impl Environs {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let io = py.import("io")?;
        let errors = py.import("sys")?.getattr("stderr")?;
        let same = PyDict::new(py);
        same.set_item("wsgi.version", (1, 0))?;
        same.set_item("wsgi.errors", &errors)?;
        same.set_item("wsgi.run_once", false)?;
        same.set_item("wsgi.input_terminated", true)?;
        same.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        let spell = |name: &HeaderName| {
            let spelled = Variable::Header(name).to_string();
            (name.clone(), PyString::intern(py, &spelled).unbind())
        };
        Ok(Self {
            same: same.unbind(),
            errors: errors.unbind(),
            bytes_io: io.getattr("BytesIO")?.unbind(),
            open: io.getattr("open")?.unbind(),
            usual: USUAL.iter().map(spell).collect(),
            others: Mutex::default(),
        })
    }

    /// Sets a variable in all environs that are made from now on.
    #[cfg(feature = "command")]
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.same.bind(py).set_item(name, value)
    }

    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        environ: Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.same.bind(py).copy()?;
        for (name, value) in environ.variables() {
            let value = decode(py, &value);
            match name {
                Variable::Named(name) => dict.set_item(PyString::intern(py, name), value)?,
                Variable::Header(name) => dict.set_item(self.header(py, name), value)?,
            }
        }
        dict.set_item(intern!(py, "wsgi.url_scheme"), environ.url_scheme())?;
        if environ.url_scheme() == "https" {
            dict.set_item(intern!(py, "HTTPS"), intern!(py, "on"))?;
        }
        dict.set_item(intern!(py, "wsgi.multithread"), environ.multithread())?;
        dict.set_item(intern!(py, "wsgi.multiprocess"), environ.multiprocess())?;
        let connection = Connection(environ.ends().clone());
        dict.set_item(intern!(py, "pulsar.connection"), Py::new(py, connection)?)?;
        let (_, input) = environ.into_parts();
        dict.set_item(intern!(py, "wsgi.input"), self.input(py, input)?)?;
        Ok(dict)
    }

    fn header<'py>(&self, py: Python<'py>, name: &HeaderName) -> Bound<'py, PyString> {
        if let Some(name) = self.usual.get(name) {
            return name.bind(py).clone();
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = others.get(name) {
            return name.bind(py).clone();
        }
        let spelled = PyString::new(py, &Variable::Header(name).to_string());
        if others.len() < MOST_NAMES {
            others.insert(name.clone(), spelled.clone().unbind());
        }
        spelled
    }

    /// `wsgi.input`: one of Python's own files, since the whole body is there.
    fn input<'py>(&self, py: Python<'py>, input: Input) -> PyResult<Bound<'py, PyAny>> {
        let body = input.into_buffered().unwrap_or_default();
        match body.into_stored()? {
            Stored::Memory(bytes) => self.bytes_io.bind(py).call1((PyBytes::new(py, &bytes),)),
            Stored::Disk(file) => {
                let descriptor = OwnedFd::from(file).into_raw_fd();
                self.open.bind(py).call1((descriptor, intern!(py, "rb")))
            }
        }
    }
}

/// `pulsar.connection`: the ends of the connection.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct Connection(Ends);

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
