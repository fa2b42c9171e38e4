//! The socket as Python's `tower_wsgi.ws` uses it: any thread may write.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};

use super::{
    close::CloseReason,
    frame::{MAX_CONTROL, Opcode, frame},
    socket::EventSocket,
};
use crate::exception::type_name;

/// One socket. Its methods never wait.
#[pyclass(frozen, module = "tower_wsgi")]
#[derive(Debug)]
pub(super) struct WebSocketTransport {
    pub(super) socket: Arc<EventSocket>,
}

#[pymethods]
impl WebSocketTransport {
    /// Queues a message: text, bytes, or a frame. Returns whether it was queued.
    fn write(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let frame = match message.cast::<WebSocketFrame>() {
            Ok(frame) => frame.get().0.clone(),
            Err(_) => message_frame(message)?,
        };
        Ok(self.socket.write(frame))
    }

    /// Makes a frame that can be written to several sockets.
    #[staticmethod]
    fn frame(message: &Bound<'_, PyAny>) -> PyResult<WebSocketFrame> {
        message_frame(message).map(WebSocketFrame)
    }

    fn ping(&self, data: &[u8]) -> PyResult<bool> {
        Ok(self.socket.write(control_frame(Opcode::Ping, data)?))
    }

    fn pong(&self, data: &[u8]) -> PyResult<bool> {
        Ok(self.socket.write(control_frame(Opcode::Pong, data)?))
    }

    fn close(&self, code: u16, reason: String) -> PyResult<bool> {
        let reason = CloseReason::new(code, reason).map_err(PyValueError::new_err)?;
        Ok(self.socket.close(reason))
    }

    /// The code and the text, once the connection has ended.
    #[getter]
    fn close_reason(&self) -> Option<(u16, String)> {
        let reason = self.socket.close_reason()?;
        Some((reason.code, reason.text.into_owned()))
    }
}

/// A message as a frame.
#[pyclass(frozen, module = "tower_wsgi")]
#[derive(Debug)]
struct WebSocketFrame(Bytes);

fn message_frame(message: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(text) = message.cast::<PyString>() {
        Ok(frame(Opcode::Text, text.to_str()?.as_bytes()))
    } else if let Ok(data) = message.cast::<PyBytes>() {
        Ok(frame(Opcode::Binary, data.as_bytes()))
    } else {
        Err(PyTypeError::new_err(format!(
            "a message is a str or bytes, not {}",
            type_name(message)
        )))
    }
}

fn control_frame(opcode: Opcode, data: &[u8]) -> PyResult<Bytes> {
    if data.len() > MAX_CONTROL {
        return Err(PyValueError::new_err(format!(
            "a ping or pong has at most {MAX_CONTROL} bytes, not {}",
            data.len()
        )));
    }
    Ok(frame(opcode, data))
}
