//! `gunicorn.socket`: the application's end of a WebSocket connection, for libraries that write the handshake and the
//! frames themselves.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, IntoRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

use pyo3::{
    exceptions::{PyAttributeError, PyConnectionError, PyOSError, PyStopIteration},
    intern,
    prelude::*,
    sync::PyOnceLock,
};
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::offer::UpgradeOffer;

/// The size in bytes of what each side may have sent that the other one has not received. The system may double it.
const SEND_BUFFER: usize = 64 << 10;

/// What an application finds as `gunicorn.socket`: a socket of Python that is opened when it is used for the first time.
///
/// It is one end of a socket pair. The client's own socket would not do: the server has read ahead, and encrypts.
#[pyclass(frozen, module = "tower_wsgi", name = "Socket")]
pub(crate) struct ApplicationSocket {
    offer: UpgradeOffer,
    socket: PyOnceLock<Py<PyAny>>,
}

#[pymethods]
impl ApplicationSocket {
    /// The attributes of a socket, such as `recv`, `send`, `fileno` and `close`.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if name.starts_with('_') {
            // Looking at the object does not open it.
            return Err(PyAttributeError::new_err(format!(
                "'Socket' object has no attribute '{name}'"
            )));
        }
        self.socket(py)?.getattr(name)
    }
}

impl ApplicationSocket {
    pub(crate) fn new(offer: &UpgradeOffer) -> Self {
        Self {
            offer: offer.clone(),
            socket: PyOnceLock::new(),
        }
    }

    fn socket<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let socket = self.socket.get_or_try_init(py, || self.open(py))?;
        Ok(socket.bind(py))
    }

    fn open(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (own, other) = UnixStream::pair()?;
        for end in [&own, &other] {
            set_socket_send_buffer_size(end, SEND_BUFFER).map_err(io::Error::from)?;
        }
        let socket = python_socket(py, own.into())?;
        if self.offer.open_socket(socket.clone_ref(py), other) {
            return Ok(socket);
        }
        Err(PyOSError::new_err(
            "the WebSocket connection of this request is not available: the request has ended, or something else has \
             taken it",
        ))
    }
}

/// An object of the class in `socket.py`, with gevent's sockets below it where these have replaced Python's.
fn python_socket(py: Python<'_>, end: OwnedFd) -> PyResult<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let code = CString::new(include_str!("socket.py"))?;
        let module = PyModule::from_code(py, &code, c"<tower_wsgi.socket>", c"tower_wsgi.socket")?;
        module.getattr("Socket").map(Bound::unbind)
    })?;
    let socket = class.call1(py, (end.as_raw_fd(),))?;
    let _owned_by_python = end.into_raw_fd();
    // The application's default timeout is for its own connections.
    socket.call_method1(py, intern!(py, "setblocking"), (true,))?;
    Ok(socket)
}

/// Whether this is how a library ends a request whose socket it has used: gunicorn expects `StopIteration`, and a send to
/// a client that has left raises a `ConnectionError`.
pub(crate) fn is_end_of_socket(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyStopIteration>(py) || error.is_instance_of::<PyConnectionError>(py)
}
