//! `tower_wsgi.websocket` in the environ of a WebSocket request: with it the application makes the connection a socket
//! with events.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyTuple};
use tower_wsgi::wsgi;

use super::{
    super::offer::UpgradeOffer, connection, dispatcher::Dispatcher, handler::Handler,
    socket::EventSocket, transport::WebSocketTransport,
};

/// The right to make a connection a WebSocket.
#[pyclass(frozen, module = "tower_wsgi")]
pub(crate) struct WebSocketUpgrade {
    /// `None` once it was used.
    right: Mutex<Option<(UpgradeOffer, wsgi::StartResponse)>>,
    dispatcher: Arc<Dispatcher>,
}

impl WebSocketUpgrade {
    /// `start_response` is that of the request, for which 101 is allowed when the connection is taken.
    pub(crate) fn new(
        offer: UpgradeOffer,
        start_response: wsgi::StartResponse,
        dispatcher: Arc<Dispatcher>,
    ) -> Self {
        Self {
            right: Mutex::new(Some((offer, start_response))),
            dispatcher,
        }
    }

    fn take(&self) -> Option<(UpgradeOffer, wsgi::StartResponse)> {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.take()
    }
}

#[pymethods]
impl WebSocketUpgrade {
    /// Takes the connection. The application has to respond with 101 then, and its events begin with `on_open`.
    ///
    /// `socket` is the argument of all `methods`: `on_open`, `on_message`, `on_bytes`, `on_ping`, `on_pong` and `on_close`,
    /// or `None` in place of one of them.
    fn accept(
        &self,
        socket: Py<PyAny>,
        methods: &Bound<'_, PyTuple>,
        max_message_size: usize,
        max_outbox: usize,
    ) -> PyResult<WebSocketTransport> {
        let handler = Handler::new(socket, methods)?;
        let taken = self.take().and_then(|(offer, start_response)| {
            let taken = offer.take()?;
            start_response.allow_switching_protocols();
            Some(taken)
        });
        let (upgrade, runtime) = taken.ok_or_else(|| {
            PyRuntimeError::new_err(
                "the WebSocket connection of this request is not available: the request has ended, or something else \
                 has taken it",
            )
        })?;
        self.dispatcher.run_in(&runtime);
        let socket = EventSocket::new(handler, Arc::clone(&self.dispatcher), max_outbox);
        let socket = Arc::new(socket);
        runtime.spawn(run(upgrade, Arc::clone(&socket), max_message_size));
        Ok(WebSocketTransport { socket })
    }
}

/// Waits until the response is sent, then serves the socket until the connection has ended.
async fn run(upgrade: OnUpgrade, socket: Arc<EventSocket>, max_message_size: usize) {
    match upgrade.await {
        Ok(upgraded) => {
            socket.open();
            let reason = connection::serve(TokioIo::new(upgraded), &socket, max_message_size).await;
            socket.closed(reason);
        }
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn Error,
                "an accepted connection did not become a WebSocket"
            );
            socket.abandon();
        }
    }
}
