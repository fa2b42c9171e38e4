//! What is the same in the environs of many clients.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pyo3::{intern, prelude::*, types::PyDict};
use tower_wsgi::wsgi::Environ;

use crate::{file_wrapper::FileWrapper, text::decode};

/// How many of them are kept: a server has few addresses.
const MOST: usize = 16;

/// Environs to be copied: one for each address of the server.
#[derive(Debug)]
pub(crate) struct Templates {
    /// What is the same in all of them.
    same: Py<PyDict>,
    made: Mutex<Vec<(Key, Py<PyDict>)>>,
}

/// What a template depends on.
#[derive(Debug)]
pub(crate) struct Key {
    local: Option<SocketAddr>,
    url_scheme: &'static str,
    multithread: bool,
    multiprocess: bool,
    script_name: Box<str>,
}

impl Key {
    pub(crate) fn new(environ: &Environ) -> Self {
        Self {
            local: environ.local(),
            url_scheme: environ.url_scheme(),
            multithread: environ.multithread(),
            multiprocess: environ.multiprocess(),
            script_name: environ.script_name().into(),
        }
    }

    pub(crate) fn is_of(&self, environ: &Environ) -> bool {
        self.local == environ.local()
            && self.url_scheme == environ.url_scheme()
            && self.multithread == environ.multithread()
            && self.multiprocess == environ.multiprocess()
            && *self.script_name == *environ.script_name()
    }
}

impl Templates {
    pub(crate) fn new(py: Python<'_>, errors: &Bound<'_, PyAny>) -> PyResult<Self> {
        let same = PyDict::new(py);
        // Right for most requests.
        same.set_item(intern!(py, "REQUEST_METHOD"), intern!(py, "GET"))?;
        same.set_item(intern!(py, "SERVER_PROTOCOL"), intern!(py, "HTTP/1.1"))?;
        same.set_item(intern!(py, "QUERY_STRING"), "")?;
        // Each request or client sets these. That they are there already gives the copies the right size.
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
            same.set_item(name, "")?;
        }
        same.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        same.set_item(intern!(py, "wsgi.errors"), errors)?;
        same.set_item(intern!(py, "wsgi.run_once"), false)?;
        same.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        let file_wrapper = py.get_type::<FileWrapper>();
        same.set_item(intern!(py, "wsgi.file_wrapper"), file_wrapper)?;
        Ok(Self {
            same: same.unbind(),
            made: Mutex::default(),
        })
    }

    /// Sets a variable in all templates that are made from now on.
    #[cfg(feature = "command")]
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.same.bind(py).set_item(name, value)
    }

    /// A copy of the one for this environ.
    pub(crate) fn copy<'py>(
        &self,
        py: Python<'py>,
        environ: &Environ,
    ) -> PyResult<Bound<'py, PyDict>> {
        if let Some(template) = self.find(py, environ) {
            return template.copy();
        }
        let template = self.make(py, environ)?;
        let copy = template.copy()?;
        let mut made = self.lock();
        if made.len() < MOST {
            made.push((Key::new(environ), template.unbind()));
        }
        Ok(copy)
    }

    fn find<'py>(&self, py: Python<'py>, environ: &Environ) -> Option<Bound<'py, PyDict>> {
        let made = self.lock();
        let (_, template) = made.iter().find(|(key, _)| key.is_of(environ))?;
        Some(template.bind(py).clone())
    }

    /// Nothing that may run Python's garbage collection is done under the lock: what that runs may let
    /// another thread have the interpreter, which would wait for the lock with it.
    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Py<PyDict>)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make<'py>(&self, py: Python<'py>, environ: &Environ) -> PyResult<Bound<'py, PyDict>> {
        let template = self.same.bind(py).copy()?;
        template.set_item("SCRIPT_NAME", decode(py, environ.script_name().as_bytes()))?;
        template.set_item("SERVER_SOFTWARE", environ.server_software())?;
        if environ.local().is_some() {
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
