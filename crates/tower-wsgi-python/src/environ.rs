//! The environ as a Python dictionary.

use std::{
    collections::HashMap,
    os::fd::{IntoRawFd as _, OwnedFd},
    sync::{Mutex, PoisonError},
};

use foldhash::fast::RandomState;
use http::{HeaderName, Method, Version, header};
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use tower_wsgi::{
    body::{DiskSpace, Stored},
    wsgi::{Environ, Input, Variable},
};

use crate::{clients::Clients, template::Templates, text::decode};

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

/// The methods that clients usually send, beside `GET`.
const METHODS: [Method; 6] = [
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Makes environs: what is the same in many of them is made once.
#[derive(Debug)]
pub(crate) struct Environs {
    clients: Clients,
    /// `wsgi.errors`.
    pub(crate) errors: Py<PyAny>,
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
    methods: HashMap<Method, Py<PyString>, RandomState>,
    usual: HashMap<HeaderName, Py<PyString>, RandomState>,
    others: Mutex<HashMap<HeaderName, Py<PyString>, RandomState>>,
}

impl Environs {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let io = py.import("io")?;
        let errors = py.import("sys")?.getattr("stderr")?;
        let spell = |name: &HeaderName| {
            let spelled = Variable::Header(name).to_string();
            (name.clone(), PyString::intern(py, &spelled).unbind())
        };
        let name = |method: &Method| {
            let name = PyString::intern(py, method.as_str()).unbind();
            (method.clone(), name)
        };
        Ok(Self {
            clients: Clients::new(Templates::new(py, &errors)?),
            errors: errors.unbind(),
            bytes_io: io.getattr("BytesIO")?.unbind(),
            open: io.getattr("open")?.unbind(),
            methods: METHODS.iter().map(name).collect(),
            usual: USUAL.iter().map(spell).collect(),
            others: Mutex::default(),
        })
    }

    /// Sets a variable in all environs that are made from now on.
    #[cfg(feature = "command")]
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.clients.set(py, name, value)
    }

    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        environ: Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.clients.copy(py, &environ)?;
        if *environ.method() != Method::GET {
            let method = self.method(py, environ.method());
            dict.set_item(intern!(py, "REQUEST_METHOD"), method)?;
        }
        let (target, path) = (environ.target(), environ.path_info());
        let target_text = decode(py, &target);
        dict.set_item(intern!(py, "REQUEST_URI"), &target_text)?;
        dict.set_item(intern!(py, "RAW_URI"), &target_text)?;
        let path = if path == target {
            target_text
        } else {
            decode(py, &path)
        };
        dict.set_item(intern!(py, "PATH_INFO"), path)?;
        let query = environ.query_string();
        if !query.is_empty() {
            dict.set_item(intern!(py, "QUERY_STRING"), decode(py, query.as_bytes()))?;
        }
        if environ.version() != Version::HTTP_11 {
            dict.set_item(intern!(py, "SERVER_PROTOCOL"), environ.protocol())?;
        }
        if let Some(value) = environ.content_type() {
            dict.set_item(intern!(py, "CONTENT_TYPE"), decode(py, value))?;
        }
        if let Some(value) = environ.content_length() {
            dict.set_item(intern!(py, "CONTENT_LENGTH"), decode(py, &value))?;
        }
        for (name, value) in environ.fields() {
            dict.set_item(self.header(py, name), decode(py, &value))?;
        }
        if environ.local().is_none() {
            let (name, port) = environ.server_address();
            dict.set_item(intern!(py, "SERVER_NAME"), decode(py, &name))?;
            dict.set_item(intern!(py, "SERVER_PORT"), decode(py, &port))?;
        }
        let (_, input) = environ.into_parts();
        dict.set_item(intern!(py, "wsgi.input"), self.input(py, input)?)?;
        Ok(dict)
    }

    fn method<'py>(&self, py: Python<'py>, method: &Method) -> Bound<'py, PyString> {
        match self.methods.get(method) {
            Some(name) => name.bind(py).clone(),
            None => PyString::new(py, method.as_str()),
        }
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
            Stored::Memory(bytes) if bytes.is_empty() => self.bytes_io.bind(py).call0(),
            Stored::Memory(bytes) => self.bytes_io.bind(py).call1((PyBytes::new(py, &bytes),)),
            Stored::Disk(file, space) => {
                let descriptor = OwnedFd::from(file).into_raw_fd();
                let input = self.open.bind(py).call1((descriptor, intern!(py, "rb")))?;
                // Until Python has done with the file.
                input.setattr(intern!(py, "_space"), Space(space))?;
                Ok(input)
            }
        }
    }
}

/// What a file of Python takes of the disk.
#[pyclass(frozen)]
struct Space(#[allow(dead_code, reason = "its end matters")] DiskSpace);
