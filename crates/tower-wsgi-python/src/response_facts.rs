//! What pulsar's `HttpServerResponse` says of a response: its status and header fields, whether it is chunked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList},
};
use tower_wsgi::wsgi::Environ;

use crate::{
    header_fields::{self, FieldValue},
    native_string::{Latin1, decode},
};

/// What is known of a response. Most applications never ask, so the head is kept as it was given, and read when it is
/// asked for.
pub(crate) struct ResponseFacts {
    protocol: &'static str,
    is_head: bool,
    head: Mutex<Option<GivenHead>>,
}

/// The last status and header fields of the application.
struct GivenHead {
    status: Py<PyAny>,
    /// A list.
    headers: Py<PyAny>,
}

impl ResponseFacts {
    pub(crate) fn new(environ: &Environ) -> Self {
        Self {
            protocol: environ.protocol(),
            is_head: *environ.method() == Method::HEAD,
            head: Mutex::default(),
        }
    }

    /// Keeps what the application has started its response with.
    pub(crate) fn set_head(&self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) {
        let head = GivenHead {
            status: status.clone().unbind(),
            headers: headers.clone().unbind(),
        };
        // The one before is dropped without the lock, since it may run code of the application.
        let before = self.lock().replace(head);
        drop(before);
    }

    pub(crate) fn status<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let head = self.lock();
        Some(head.as_ref()?.status.bind(py).clone())
    }

    /// The header fields as a list of pairs.
    pub(crate) fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (name, value) in self.fields(py)? {
            list.append((decode(py, name.as_ref()), decode(py, value.as_ref())))?;
        }
        Ok(list)
    }

    /// The first line and the header fields, as HTTP/1.1 has them.
    pub(crate) fn head<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(status) = self.status(py) else {
            return Ok(None);
        };
        let status = Latin1::new(&status, "the status")?;
        let mut head = [self.protocol.as_bytes(), b" ", status.as_ref(), b"\r\n"].concat();
        for (name, value) in self.fields(py)? {
            for part in [name.as_ref(), b": ", value.as_ref(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        head.extend_from_slice(b"\r\n");
        Ok(Some(PyBytes::new(py, &head)))
    }

    pub(crate) fn is_chunked(&self, py: Python<'_>) -> PyResult<bool> {
        let has_body = match self.status(py) {
            Some(status) => {
                let status = Latin1::new(&status, "the status")?;
                let code = status.as_ref().get(..3).unwrap_or_default();
                !code.starts_with(b"1") && code != b"204" && code != b"304"
            }
            None => true,
        };
        let may_be = self.protocol == "HTTP/1.1" && !self.is_head && has_body;
        Ok(may_be && self.content_length(py)?.is_none())
    }

    pub(crate) fn content_length(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        Ok(header_fields::content_length(&self.fields(py)?))
    }

    /// The first field of a name in lower case.
    pub(crate) fn field(&self, py: Python<'_>, wanted: &str) -> PyResult<Option<String>> {
        let fields = self.fields(py)?;
        let mut fields = fields
            .iter()
            .filter(|(name, _)| name.as_ref().eq_ignore_ascii_case(wanted.as_bytes()));
        let field = fields.next();
        Ok(field.map(|(_, value)| String::from_utf8_lossy(value.as_ref()).into_owned()))
    }

    pub(crate) fn protocol(&self) -> &'static str {
        self.protocol
    }

    fn fields(&self, py: Python<'_>) -> PyResult<Vec<(Latin1, FieldValue)>> {
        let headers = {
            let head = self.lock();
            let Some(head) = head.as_ref() else {
                return Ok(Vec::new());
            };
            head.headers.bind(py).clone()
        };
        header_fields::lenient(&headers, true)
    }

    /// No Python code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<GivenHead>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
