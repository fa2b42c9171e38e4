use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Set in the environment of a new supervisor. A program that it starts inherits it, but not the socket.
pub(in crate::supervisor) const MARKER: &str = "TOWER_PREFORK_UPGRADE";

/// What the old supervisor tells the new one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToSuccessor {
    /// Where a server listens, as its operator wrote it; nothing for a socket that was passed. The sockets
    /// come with it, in the same order.
    Listeners {
        server: String,
        addresses: Vec<Option<String>>,
    },
    /// The control socket comes with it.
    ControlSocket { path: PathBuf },
    /// That was the last one.
    Begin,
}

/// What the new supervisor tells the old one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToPredecessor {
    /// It serves, and has taken the control socket over or not.
    Ready { control_socket: bool },
}
