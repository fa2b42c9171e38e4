//! The response to a WebSocket request.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use tokio::{runtime::Handle, sync::oneshot};
use tower_wsgi::{Body, Rejection};

use super::{
    offer::Handshake,
    service::{OpenSocket, OpenSockets},
};

type CallResult = Result<Response<Body>, Infallible>;

/// The response to a WebSocket request: that of its upgrade if the application takes it, otherwise the application's.
pub(crate) struct WebSocketFuture<F>(WebSocketState<F>);

enum WebSocketState<F> {
    Called(Called<F>),
    /// All sockets are in use.
    Refused(Ready<CallResult>),
}

/// The application runs.
struct Called<F> {
    /// On the heap, since it outlives this future if the upgrade is taken; `None` after that.
    call: Option<Pin<Box<F>>>,
    /// `None` once it is known that it does not come from here.
    upgraded: Option<oneshot::Receiver<Response<Body>>>,
    runtime: Handle,
    sockets: OpenSockets,
}

impl<F> WebSocketFuture<F> {
    pub(super) fn new(call: F, handshake: Handshake, sockets: OpenSockets) -> Self {
        Self(WebSocketState::Called(Called {
            call: Some(Box::pin(call)),
            upgraded: Some(handshake.upgraded),
            runtime: handshake.runtime,
            sockets,
        }))
    }

    pub(super) fn refused() -> Self {
        let response = Rejection::QueueFull.into_response();
        Self(WebSocketState::Refused(ready(Ok(response))))
    }
}

impl<F> Future for WebSocketFuture<F>
where
    F: Future<Output = CallResult> + Send + 'static,
{
    type Output = CallResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallResult> {
        match &mut self.0 {
            WebSocketState::Called(called) => called.poll(cx),
            WebSocketState::Refused(response) => Pin::new(response).poll(cx),
        }
    }
}

impl<F> Called<F>
where
    F: Future<Output = CallResult> + Send + 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CallResult> {
        // First: the upgrade's response is sent before the application's call ends.
        if let Some(upgraded) = &mut self.upgraded
            && let Poll::Ready(response) = Pin::new(upgraded).poll(cx)
        {
            self.upgraded = None;
            if let Ok(response) = response {
                self.let_run();
                return Poll::Ready(Ok(response));
            }
        }
        match &mut self.call {
            Some(call) => call.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// The application runs as long as its socket is open. What it returns in the end is discarded.
    fn let_run(&mut self) {
        if let Some(call) = self.call.take() {
            let socket: OpenSocket = self.sockets.open();
            self.runtime.spawn(async move {
                drop(call.await);
                drop(socket);
            });
        }
    }
}
