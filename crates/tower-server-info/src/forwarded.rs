//! What a trusted proxy has said of the client of a request.

use std::net::{IpAddr, SocketAddr};

/// The address of a client.
///
/// A proxy may name it without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    /// The IP address.
    pub ip: IpAddr,
    /// The port, where it is known.
    pub port: Option<u16>,
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            port: Some(address.port()),
        }
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }
}

/// What a trusted proxy has said of the client of a request, for [`ConnectInfo::forwarded_by`](crate::ConnectInfo::forwarded_by).
///
/// What it has not said is `None`, and is that of the connection then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ForwardedInfo {
    /// The client's address.
    pub client: Option<ClientAddress>,
    /// Whether the client uses HTTPS.
    pub https: Option<bool>,
    /// The host that the client asked for, with its port if that is not the default of the scheme.
    pub host: Option<Box<str>>,
    /// The path under which the proxy serves the service, and which it has removed from the target: it begins with `/`,
    /// does not end with one, and is percent-encoded.
    pub prefix: Option<Box<str>>,
}

impl ForwardedInfo {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
