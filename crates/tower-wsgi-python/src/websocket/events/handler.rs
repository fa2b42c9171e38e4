//! The methods of a handler, and calling them.

use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    types::{PyBytes, PyString, PyTuple},
};

use super::socket::SocketEvent;

/// The names of the methods, in the order of the tuple that holds them.
pub(super) const METHODS: [&str; 6] = [
    "on_open",
    "on_message",
    "on_bytes",
    "on_ping",
    "on_pong",
    "on_close",
];

/// A handler of the application, for one socket.
#[derive(Debug)]
pub(super) struct Handler {
    /// The object that represents the socket in Python, the argument of each method.
    socket: Py<PyAny>,
    /// A method for each event, or `None`. All sockets of a handler share the tuple.
    methods: Py<PyTuple>,
    interests: Interests,
}

/// For which events there is a method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interests([bool; METHODS.len()]);

impl Interests {
    /// Whether there is a method for this event.
    pub(super) fn include(self, event: &SocketEvent) -> bool {
        self.0[index(event)]
    }
}

impl Handler {
    /// `methods` has one entry for each of [`METHODS`].
    pub(super) fn new(socket: Py<PyAny>, methods: &Bound<'_, PyTuple>) -> PyResult<Self> {
        if methods.len() != METHODS.len() {
            return Err(PyTypeError::new_err(format!(
                "accept takes {} methods, or None in their place: {}",
                METHODS.len(),
                METHODS.join(", ")
            )));
        }
        let mut interests = Interests([false; METHODS.len()]);
        for (included, method) in interests.0.iter_mut().zip(methods) {
            *included = !method.is_none();
        }
        Ok(Self {
            socket,
            methods: methods.clone().unbind(),
            interests,
        })
    }

    pub(super) fn interests(&self) -> Interests {
        self.interests
    }

    /// Calls the method for an event. Returns what is to be awaited.
    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        event: &SocketEvent,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((method, arguments)) = self.method(py, event)? else {
            return Ok(None);
        };
        let result = method.call1(arguments)?;
        let is_awaitable = Self::is_awaitable(&result)?;
        Ok(is_awaitable.then_some(result))
    }

    /// The method for an event, and its arguments.
    pub(super) fn method<'py>(
        &self,
        py: Python<'py>,
        event: &SocketEvent,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        let index = index(event);
        if !self.interests.0[index] {
            return Ok(None);
        }
        let method = self.methods.bind(py).get_item(index)?;
        let socket = self.socket.bind(py);
        let arguments = match event {
            SocketEvent::Open | SocketEvent::Closed => (socket,).into_pyobject(py),
            SocketEvent::Text(text) => (socket, PyString::new(py, text)).into_pyobject(py),
            SocketEvent::Binary(data) | SocketEvent::Ping(data) | SocketEvent::Pong(data) => {
                (socket, PyBytes::new(py, data)).into_pyobject(py)
            }
        }?;
        Ok(Some((method, arguments)))
    }

    /// Whether the result of a method has to be awaited.
    pub(super) fn is_awaitable(result: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = result.py();
        Ok(!result.is_none() && result.hasattr(intern!(py, "__await__"))?)
    }
}

/// The name of the method for an event.
pub(super) fn method_name(event: &SocketEvent) -> &'static str {
    METHODS[index(event)]
}

fn index(event: &SocketEvent) -> usize {
    match event {
        SocketEvent::Open => 0,
        SocketEvent::Text(_) => 1,
        SocketEvent::Binary(_) => 2,
        SocketEvent::Ping(_) => 3,
        SocketEvent::Pong(_) => 4,
        SocketEvent::Closed => 5,
    }
}
