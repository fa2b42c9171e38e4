//! The turn of a socket: its next events are handled, in order.

use std::sync::Arc;

use pyo3::prelude::*;

use super::{
    close::CloseReason,
    dispatcher::Dispatcher,
    handler::method_name,
    socket::{EventSocket, SocketEvent},
};

/// The number of events after which another socket has its turn.
pub(super) const MAX_EVENTS: usize = 16;

/// Handles the next events of a socket. The caller has its turn, which is over when this returns, or when the result of
/// an asynchronous method has come.
pub(super) fn run(py: Python<'_>, socket: &Arc<EventSocket>) {
    let Some(handler) = socket.handler() else {
        return;
    };
    for _ in 0..MAX_EVENTS {
        let Some(event) = socket.next_event() else {
            return;
        };
        let call = HandlerCall::new(&event);
        match handler.call(py, &event) {
            Ok(None) => call.returned(py, socket, Ok(())),
            Ok(Some(awaitable)) => {
                return Dispatcher::wait_for(&awaitable, socket, call);
            }
            Err(error) => call.returned(py, socket, Err(error)),
        }
        if call.is_last {
            return;
        }
    }
    socket.end_turn();
}

/// A call of the handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandlerCall {
    method: &'static str,
    /// It is that of `on_close`.
    pub(super) is_last: bool,
}

impl HandlerCall {
    pub(super) fn new(event: &SocketEvent) -> Self {
        Self {
            method: method_name(event),
            is_last: matches!(event, SocketEvent::Closed),
        }
    }

    /// The method has returned or raised an exception, which closes the socket.
    pub(super) fn returned(self, py: Python<'_>, socket: &Arc<EventSocket>, result: PyResult<()>) {
        if let Err(error) = result {
            socket.dispatcher().report(py, self.method, &error);
            socket.close(CloseReason::HANDLER_FAILED);
        }
        if self.is_last {
            socket.forget_handler(py);
        }
    }

    /// The result of an asynchronous method has come.
    pub(super) fn awaited(self, py: Python<'_>, socket: &Arc<EventSocket>, result: PyResult<()>) {
        self.returned(py, socket, result);
        if !self.is_last {
            socket.end_turn();
        }
    }
}
