//! The connection that a request arrived on.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{ClientAddress, ClientInput, ForwardedInfo, TlsInfo};

/// What is known about the connection that a request arrived on, and about the client of the request.
///
/// The server puts it into the extensions of every request; an axum handler takes it
/// with `Extension<ConnectInfo>`.
///
/// Behind a proxy that the server trusts, the client is not the [`peer`](Self::peer): [`client`](Self::client),
/// [`scheme`](Self::scheme), [`host`](Self::host) and [`prefix`](Self::prefix) are what the proxy has said of this request.
/// Without one they are those of the connection, and clones of one connection's value cost the same as before.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    endpoints: Endpoints,
    encrypted: bool,
    tls: Option<TlsInfo>,
    input: ClientInput,
    /// What a trusted proxy has said of this request.
    forwarded: Option<Arc<ForwardedInfo>>,
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
            tls: None,
            input: ClientInput::new(),
            forwarded: None,
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
            tls: None,
            input: ClientInput::new(),
            forwarded: None,
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

    /// The same, with TLS of which this is known.
    #[must_use]
    pub fn with_tls(self, tls: TlsInfo) -> Self {
        Self {
            encrypted: true,
            tls: Some(tls),
            ..self
        }
    }

    /// The same connection, of a client at `peer` that has connected to `local`: as the PROXY protocol names them, which a
    /// proxy speaks at the beginning of a connection.
    #[must_use]
    pub fn proxied(self, local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            endpoints: Endpoints::Tcp { local, peer },
            ..self
        }
    }

    /// The same connection, whose client can send on as `input` says: for a part of a connection that ends by itself.
    #[must_use]
    pub fn with_input(self, input: ClientInput) -> Self {
        Self { input, ..self }
    }

    /// The same connection, with what a trusted proxy has said of one request.
    #[must_use]
    pub fn forwarded_by(self, proxy: ForwardedInfo) -> Self {
        Self {
            forwarded: Some(Arc::new(proxy)),
            ..self
        }
    }

    /// What is known of the TLS of the connection: the version, the name that the other side has asked for, its certificate.
    /// `None` without TLS, and on a server that does not say more than that there is TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// Whether the other side of the connection speaks TLS with this server.
    ///
    /// Behind a proxy that does so for the client, this is `false`; see [`scheme`](Self::scheme).
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The address of who has connected, or `None` on a Unix socket, whose clients have none.
    ///
    /// Behind a proxy this is the proxy's address; with the PROXY protocol it is the one that the proxy names. See
    /// [`client`](Self::client).
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self.endpoints {
            Endpoints::Tcp { peer, .. } => Some(peer),
            Endpoints::Unix { .. } => None,
        }
    }

    /// The address that the [`peer`](Self::peer) connected to, or `None` on a Unix socket.
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

    /// The client's address: what a trusted proxy has said, or else the [`peer`](Self::peer). `None` on a Unix socket
    /// without such a proxy.
    #[must_use]
    pub fn client(&self) -> Option<ClientAddress> {
        let forwarded = self.forwarded.as_ref();
        forwarded
            .and_then(|forwarded| forwarded.client)
            .or_else(|| self.peer().map(ClientAddress::from))
    }

    /// `https` or `http`: what a trusted proxy has said that its client uses, or else whether the connection is
    /// [encrypted](Self::is_encrypted).
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        let forwarded = self.forwarded.as_ref();
        let https = forwarded.and_then(|forwarded| forwarded.https);
        if https.unwrap_or(self.encrypted) {
            "https"
        } else {
            "http"
        }
    }

    /// The host that the client asked for, if a trusted proxy has said it; otherwise the request has it in its `Host` field
    /// or its target. With the port, if that is not the default of the [`scheme`](Self::scheme).
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.forwarded.as_ref()?.host.as_deref()
    }

    /// The path under which a trusted proxy serves the service, and which it has removed from the target. Percent-encoded;
    /// it begins with `/` and does not end with one.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.forwarded.as_ref()?.prefix.as_deref()
    }

    /// What a trusted proxy has said of this request, if it has said anything.
    #[must_use]
    pub fn forwarded(&self) -> Option<&Arc<ForwardedInfo>> {
        self.forwarded.as_ref()
    }

    /// Whether the client can still send something.
    #[must_use]
    pub fn input(&self) -> &ClientInput {
        &self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    #[test]
    fn the_client_is_the_peer_unless_a_proxy_says_otherwise() {
        let direct = ConnectInfo::tcp(address(1, 80), address(2, 5000));
        assert_eq!(direct.client(), Some(address(2, 5000).into()));
        assert_eq!(direct.scheme(), "http");
        assert_eq!((direct.host(), direct.prefix()), (None, None));
        assert_eq!(ConnectInfo::unix(None).client(), None);
        assert_eq!(ConnectInfo::unix(None).encrypted().scheme(), "https");

        let client = ClientAddress::from(address(3, 0).ip());
        let forwarded = ForwardedInfo {
            client: Some(client),
            https: Some(true),
            ..ForwardedInfo::default()
        };
        let proxied = direct.clone().forwarded_by(forwarded);
        assert_eq!(proxied.client(), Some(client));
        assert_eq!(proxied.scheme(), "https");
        assert_eq!(proxied.peer(), Some(address(2, 5000)));
        assert!(!proxied.is_encrypted());
        // What the proxy does not say is that of the connection.
        let silent = direct.encrypted().forwarded_by(ForwardedInfo::default());
        assert_eq!(silent.client(), Some(address(2, 5000).into()));
        assert_eq!(silent.scheme(), "https");
    }

    #[test]
    fn the_proxy_protocol_replaces_both_addresses() {
        let unix = ConnectInfo::unix(Some("/run/a".into()));
        let proxied = unix.proxied(address(1, 443), address(2, 5000));
        assert_eq!(proxied.local(), Some(address(1, 443)));
        assert_eq!(proxied.peer(), Some(address(2, 5000)));
        assert_eq!(proxied.unix_path(), None);
    }
}
