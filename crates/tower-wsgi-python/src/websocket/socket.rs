//! `gunicorn.socket`: the application's end of a WebSocket connection, for libraries that write the handshake and the
//! frames themselves.

use std::os::{
    fd::{AsRawFd as _, IntoRawFd as _, OwnedFd},
    unix::net::UnixStream,
};

use pyo3::{
    exceptions::{PyAttributeError, PyConnectionError, PyOSError, PyStopIteration},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyMemoryView},
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
    /// Sends all of `data`, and returns its size: libraries do not expect that a part is sent.
    #[pyo3(signature = (data, flags=0))]
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>, flags: i32) -> PyResult<usize> {
        let socket = self.socket(py)?;
        let size = PyMemoryView::from(data)?.getattr(intern!(py, "nbytes"))?;
        socket.call_method1(intern!(py, "sendall"), (data, flags))?;
        size.extract()
    }

    /// The other methods of a socket, such as `recv`, `fileno` and `close`.
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
            set_socket_send_buffer_size(end, SEND_BUFFER).map_err(std::io::Error::from)?;
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

/// A `socket.socket`, of gevent where that has replaced Python's.
fn python_socket(py: Python<'_>, end: OwnedFd) -> PyResult<Py<PyAny>> {
    let class = py
        .import(intern!(py, "socket"))?
        .getattr(intern!(py, "socket"))?;
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "fileno"), end.as_raw_fd())?;
    let socket = class.call((), Some(&arguments))?;
    let _owned_by_python = end.into_raw_fd();
    // A default timeout of the application is for its own connections.
    socket.call_method1(intern!(py, "setblocking"), (true,))?;
    Ok(socket.unbind())
}

/// Whether this is how a library ends a request whose socket it has used: gunicorn expects `StopIteration`, and a send to
/// a client that has left raises a `ConnectionError`.
pub(crate) fn is_end_of_socket(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyStopIteration>(py) || error.is_instance_of::<PyConnectionError>(py)
}
