//! The hooks of connections: at their begin and their end, and for the responses of the server itself.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use http::Response;
use tower_server_info::ServerResponse;

use super::{
    ConnectInfo, Shared,
    handle::ConnectionHandle,
    server_response::{Renderer, RequestSummary},
};
use crate::error::panic_text;

/// A step in the life of a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ConnectionStep {
    /// It was accepted.
    Opened,
    /// It has ended, by either side.
    Closed {
        /// The requests that came on it, with those that were refused.
        requests: u64,
    },
}

type OnConnection = dyn Fn(&ConnectInfo, ConnectionStep) + Send + Sync;

/// The functions of the user that connections call.
#[derive(Clone, Default)]
pub struct ConnectionHooks {
    on_step: Vec<Arc<OnConnection>>,
    renderer: Renderer,
}

impl ConnectionHooks {
    /// Adds a hook that is called when a connection opens, and when it has ended.
    pub fn on_connection(
        &mut self,
        hook: impl Fn(&ConnectInfo, ConnectionStep) + Send + Sync + 'static,
    ) {
        self.on_step.push(Arc::new(hook));
    }

    /// Renders the responses that the server makes itself by this function, in place of
    /// [`ServerResponse::render`].
    ///
    /// The request is `None` if it could not be parsed. The connection adds the fields that frame the response. If the
    /// function panics, or gives a status of 1xx, the default is sent.
    pub fn on_server_response(
        &mut self,
        render: impl Fn(&ServerResponse, Option<&RequestSummary>) -> Response<Bytes>
        + Send
        + Sync
        + 'static,
    ) {
        self.renderer = Renderer::from(render);
    }

    pub(super) fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// Whether no hook is called at the steps of a connection.
    pub(super) fn has_no_steps(&self) -> bool {
        self.on_step.is_empty()
    }

    /// Calls each of them. One that panics is logged, and the others are called.
    pub(super) fn call(&self, connection: &ConnectInfo, step: ConnectionStep) {
        for hook in &self.on_step {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(connection, step))) {
                tracing::error!(panic = panic_text(&*panic), "a hook panicked");
            }
        }
    }
}

impl fmt::Debug for ConnectionHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHooks").finish_non_exhaustive()
    }
}

/// Reports the begin and the end of a connection to the hooks.
pub(super) struct ConnectionEvents {
    shared: Arc<Shared>,
    connection: ConnectInfo,
    handle: ConnectionHandle,
}

impl ConnectionEvents {
    /// `None` without a hook.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        connection: &ConnectInfo,
        handle: &ConnectionHandle,
    ) -> Option<Self> {
        if shared.hooks.has_no_steps() {
            return None;
        }
        shared.hooks.call(connection, ConnectionStep::Opened);
        Some(Self {
            shared: shared.clone(),
            connection: connection.clone(),
            handle: handle.clone(),
        })
    }
}

impl Drop for ConnectionEvents {
    fn drop(&mut self) {
        let requests = self.handle.lock().requests();
        let closed = ConnectionStep::Closed { requests };
        self.shared.hooks.call(&self.connection, closed);
    }
}
