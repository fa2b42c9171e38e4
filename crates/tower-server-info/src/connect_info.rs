//! The connection that a request arrived on.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::ClientInput;

/// What is known about the connection that a request arrived on.
///
/// The server puts it into the extensions of every request; an axum handler takes it
/// with `Extension<ConnectInfo>`.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    endpoints: Endpoints,
    encrypted: bool,
    input: ClientInput,
}

#[derive(Clone, Debug)]
enum Endpoints {
    Tcp { local: SocketAddr, peer: SocketAddr },
    Unix { path: Option<Arc<Path>> },
}

impl ConnectInfo {
    /// A TCP connection of a client at `peer` to the address `local`.
    #[must_use]
    pub fn tcp(local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            endpoints: Endpoints::Tcp { local, peer },
            encrypted: false,
            input: ClientInput::new(),
        }
    }

    /// A connection to a Unix socket, at `path` where that is known.
    #[must_use]
    pub fn unix(path: Option<PathBuf>) -> Self {
        Self {
            endpoints: Endpoints::Unix {
                path: path.map(Arc::from),
            },
            encrypted: false,
            input: ClientInput::new(),
        }
    }

    /// The same, with TLS.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self {
            encrypted: true,
            ..self
        }
    }

    /// Whether the client speaks TLS with this server: HTTPS.
    ///
    /// Behind a proxy that does so for it, this is `false`.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The client's address, or `None` on a Unix socket, whose clients have none.
    ///
    /// Behind a proxy this is the proxy's address.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self.endpoints {
            Endpoints::Tcp { peer, .. } => Some(peer),
            Endpoints::Unix { .. } => None,
        }
    }

    /// The address of this machine that the client connected to, or `None` on a Unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self.endpoints {
            Endpoints::Tcp { local, .. } => Some(local),
            Endpoints::Unix { .. } => None,
        }
    }

    /// The path of the Unix socket that the client connected to, or `None` on TCP.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.endpoints {
            Endpoints::Tcp { .. } => None,
            Endpoints::Unix { path } => path.as_deref(),
        }
    }

    /// Whether the client can still send something.
    #[must_use]
    pub fn input(&self) -> &ClientInput {
        &self.input
    }
}
