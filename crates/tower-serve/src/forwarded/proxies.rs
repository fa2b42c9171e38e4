//! Whom to believe, and which fields: [`TrustedProxies`] finds the client of a request.

use http::{HeaderMap, HeaderName, Request, header};
use tower_server_info::{ClientAddress, ConnectInfo, ForwardedInfo};

use super::{
    ForwardedFields, TrustedPeers, element::ForwardedElement, list::last_first, node, values,
};
use crate::host;

static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The most elements of a list that are looked at.
const MAX_ELEMENTS: usize = 64;

/// The proxies in front of a server: which peers they are, and which of their fields are honoured.
///
/// ```
/// use http::Request;
/// use tower_serve::{ConnectInfo, ForwardedFields, TrustedPeers, TrustedProxies};
///
/// let proxies = TrustedProxies::new("10.0.0.0/8".parse()?).fields("for,proto,host".parse()?);
/// let server = ([10, 0, 0, 1], 8000).into();
/// let request = Request::builder()
///     .header("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.0.0.3")
///     .header("x-forwarded-proto", "https")
///     .body(())?;
///
/// let from_proxy = ConnectInfo::tcp(server, ([10, 0, 0, 2], 5000).into());
/// let client = proxies.resolve(&from_proxy, &request).ok_or("the proxy is trusted")?;
/// // What stands before the first address that is no proxy's, the client may have invented.
/// assert_eq!(client.client().map(|client| client.ip), Some([192, 0, 2, 7].into()));
/// assert_eq!(client.scheme(), "https");
///
/// let from_stranger = ConnectInfo::tcp(server, ([192, 0, 2, 7], 5000).into());
/// assert!(proxies.resolve(&from_stranger, &request).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    peers: TrustedPeers,
    fields: ForwardedFields,
}

impl TrustedProxies {
    /// Trusts these peers, and honours `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[must_use]
    pub fn new(peers: TrustedPeers) -> Self {
        Self {
            peers,
            fields: ForwardedFields::default(),
        }
    }

    /// Honours these fields.
    #[must_use]
    pub fn fields(self, fields: ForwardedFields) -> Self {
        Self { fields, ..self }
    }

    /// Whether the peer of this connection is one of them.
    #[must_use]
    pub fn contains_peer(&self, connection: &ConnectInfo) -> bool {
        self.peers.contains_peer(connection)
    }

    /// The connection with what its peer says of this request. `None` if the peer is not trusted, or says nothing.
    #[must_use]
    pub fn resolve<B>(
        &self,
        connection: &ConnectInfo,
        request: &Request<B>,
    ) -> Option<ConnectInfo> {
        if !self.contains_peer(connection) {
            return None;
        }
        self.resolve_trusted(connection, request)
    }

    /// The same for a connection whose peer is one of them.
    pub(crate) fn resolve_trusted<B>(
        &self,
        connection: &ConnectInfo,
        request: &Request<B>,
    ) -> Option<ConnectInfo> {
        // A client on this machine is mostly no proxy, and this costs less than to look each field up.
        if !request.headers().keys().any(is_of_proxy) {
            return None;
        }
        let said = if self.fields.forwarded {
            self.of_forwarded(request.headers())
        } else {
            self.of_single_fields(connection, request)
        };
        (!said.is_empty()).then(|| connection.clone().forwarded_by(said))
    }

    /// From `Forwarded`: the element that names the client says the rest, too.
    fn of_forwarded(&self, headers: &HeaderMap) -> ForwardedInfo {
        let mut said = ForwardedInfo::default();
        for text in last_first(headers, &header::FORWARDED).take(MAX_ELEMENTS) {
            if text.is_empty() {
                continue;
            }
            let Some(element) = ForwardedElement::parse(text) else {
                break;
            };
            said.https = element.proto.as_deref().and_then(values::https);
            let host = element.host.as_deref().and_then(values::host);
            said.host = host.map(Box::from);
            let client = element.node.as_deref().and_then(node::parse);
            let Some(client) = client else {
                // The hop before this one is not known, and neither whether it is trusted.
                break;
            };
            said.client = Some(client);
            if !self.peers.contains(client.ip) {
                break;
            }
        }
        said
    }

    /// From the `X-Forwarded` fields.
    fn of_single_fields<B>(&self, connection: &ConnectInfo, request: &Request<B>) -> ForwardedInfo {
        let headers = request.headers();
        let Self { fields, .. } = *self;
        let mut said = ForwardedInfo::default();
        if fields.client {
            said.client = self.client(headers);
        }
        if fields.proto {
            said.https = last(headers, &PROTO).and_then(values::https);
        }
        if fields.host {
            said.host = last(headers, &HOST).and_then(values::host).map(Box::from);
        }
        if fields.port
            && let Some(port) = last(headers, &PORT)
            && let Some(host) = said.host.as_deref().or_else(|| own_host(request))
        {
            let https = said.https.unwrap_or(connection.is_encrypted());
            if let Some(host) = values::with_port(host, port, https) {
                said.host = Some(host.into());
            }
        }
        if fields.prefix {
            said.prefix = last(headers, &PREFIX)
                .and_then(values::prefix)
                .map(Box::from);
        }
        said
    }

    /// From `X-Forwarded-For`.
    fn client(&self, headers: &HeaderMap) -> Option<ClientAddress> {
        let mut client = None;
        for text in last_first(headers, &FOR).take(MAX_ELEMENTS) {
            if text.is_empty() {
                continue;
            }
            let Some(address) = node::parse(text) else {
                break;
            };
            client = Some(address);
            if !self.peers.contains(address.ip) {
                break;
            }
        }
        client
    }
}

/// Whether it is one of the fields that proxies write.
fn is_of_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.strip_prefix("x-")
        .unwrap_or(name)
        .starts_with("forwarded")
}

/// The last element that is not empty.
fn last<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> Option<&'a [u8]> {
    let mut elements = last_first(headers, name).take(MAX_ELEMENTS);
    elements.find(|element| !element.is_empty())
}

/// The host that the request has itself.
fn own_host<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| request.headers().get(header::HOST)?.to_str().ok())?;
    host::is_valid(host.as_bytes()).then_some(host)
}
