//! Building the environ, a Python dictionary, from a request.

use std::{
    collections::HashMap,
    mem,
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
    BufferedBody,
    body::{DiskSpace, Stored},
    wsgi::{Environ, Input, Variable},
};

use crate::{
    environ_template::Templates,
    native_string::decode,
    websocket::{ApplicationSocket, UpgradeOffer},
};

/// The maximum number of cached names of unusual header fields.
const MAX_CACHED_NAMES: usize = 1024;

/// The header fields that clients usually send.
const USUAL_FIELDS: [HeaderName; 20] = [
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

/// The methods that clients usually send, besides `GET`.
const USUAL_METHODS: [Method; 6] = [
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Builds environs. It keeps the Python objects that many of them share.
#[derive(Debug)]
pub(crate) struct EnvironBuilder {
    templates: Templates,
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
    methods: HashMap<Method, Py<PyString>, RandomState>,
    usual_fields: HashMap<HeaderName, Py<PyString>, RandomState>,
    other_fields: Mutex<HashMap<HeaderName, Py<PyString>, RandomState>>,
}

impl EnvironBuilder {
    /// `errors` is the stream `wsgi.errors`.
    pub(crate) fn new(errors: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = errors.py();
        let io = py.import("io")?;
        let variable = |name: &HeaderName| {
            let variable = Variable::Header(name).to_string();
            (name.clone(), PyString::intern(py, &variable).unbind())
        };
        let method = |method: &Method| {
            let name = PyString::intern(py, method.as_str()).unbind();
            (method.clone(), name)
        };
        Ok(Self {
            templates: Templates::new(py, errors)?,
            bytes_io: io.getattr("BytesIO")?.unbind(),
            open: io.getattr("open")?.unbind(),
            methods: USUAL_METHODS.iter().map(method).collect(),
            usual_fields: USUAL_FIELDS.iter().map(variable).collect(),
            other_fields: Mutex::default(),
        })
    }

    /// Sets a variable of every request. To be called before the first request.
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.templates.set(py, name, value)
    }

    /// The environ of a request. It takes the request's body.
    pub(crate) fn build<'py>(
        &self,
        py: Python<'py>,
        environ: &mut Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.templates.copy(py, environ)?;
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
            dict.set_item(self.header_variable(py, name), decode(py, &value))?;
        }
        if !environ.has_fixed_address() {
            let (name, port) = environ.server_address();
            dict.set_item(intern!(py, "SERVER_NAME"), decode(py, &name))?;
            dict.set_item(intern!(py, "SERVER_PORT"), decode(py, &port))?;
        }
        let input = mem::replace(environ.input(), BufferedBody::default().into());
        dict.set_item(intern!(py, "wsgi.input"), self.input(py, input)?)?;
        if let Some(offer) = environ.extensions().get::<UpgradeOffer>()
            && offer.has_socket()
        {
            let socket = Bound::new(py, ApplicationSocket::new(offer))?;
            dict.set_item(intern!(py, "gunicorn.socket"), socket)?;
        }
        Ok(dict)
    }

    fn method<'py>(&self, py: Python<'py>, method: &Method) -> Bound<'py, PyString> {
        match self.methods.get(method) {
            Some(name) => name.bind(py).clone(),
            None => PyString::new(py, method.as_str()),
        }
    }

    fn header_variable<'py>(&self, py: Python<'py>, name: &HeaderName) -> Bound<'py, PyString> {
        if let Some(name) = self.usual_fields.get(name) {
            return name.bind(py).clone();
        }
        let mut others = self
            .other_fields
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = others.get(name) {
            return name.bind(py).clone();
        }
        let variable = PyString::new(py, &Variable::Header(name).to_string());
        if others.len() < MAX_CACHED_NAMES {
            others.insert(name.clone(), variable.clone().unbind());
        }
        variable
    }

    /// `wsgi.input`: the whole body has arrived, so it is a file object of Python.
    fn input<'py>(&self, py: Python<'py>, input: Input) -> PyResult<Bound<'py, PyAny>> {
        let body = input.into_buffered().unwrap_or_default();
        match body.into_stored()? {
            Stored::Memory(bytes) if bytes.is_empty() => self.bytes_io.bind(py).call0(),
            Stored::Memory(bytes) => self.bytes_io.bind(py).call1((PyBytes::new(py, &bytes),)),
            Stored::Disk(file, space) => {
                let descriptor = OwnedFd::from(file).into_raw_fd();
                let input = self.open.bind(py).call1((descriptor, intern!(py, "rb")))?;
                // Reserved until the file object is gone.
                input.setattr(intern!(py, "_space"), ReservedSpace(space))?;
                Ok(input)
            }
        }
    }
}

/// The disk space of a file object, released when the object is collected.
#[pyclass(frozen)]
struct ReservedSpace(#[allow(dead_code, reason = "dropping it releases the space")] DiskSpace);
