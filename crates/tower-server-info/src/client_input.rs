//! Whether a client can still send something.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Whether a client can still send something on the connection of its request.
///
/// The end of its input does not mean that the client has gone: one that has sent a whole request may close its sending
/// side and wait for the response (RFC 9112 section 9.6). But a client that closes the whole connection looks the same
/// until something is sent to it. So a server that has more requests than it can serve may drop those first whose input
/// is closed.
///
/// Clones are of the same client.
///
/// ```
/// use tower_server_info::ClientInput;
///
/// let input = ClientInput::new();
/// let seen_by_service = input.clone();
/// assert!(!seen_by_service.is_closed());
/// input.close(); // the server has read the end of the input
/// assert!(seen_by_service.is_closed());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientInput {
    closed: Arc<AtomicBool>,
}

impl ClientInput {
    /// An input that is open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the client has closed its sending side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The server has read the end of the client's input.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }
}
