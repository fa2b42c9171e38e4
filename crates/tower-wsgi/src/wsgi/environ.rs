//! The request, as an application sees it.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use http::{Extensions, HeaderMap, Method, Uri, Version, request::Parts};
use percent_encoding::{percent_decode, percent_decode_str};
use tower_server_info::{ClientAddress, ConnectInfo, ForwardedInfo, TlsInfo};

use super::Input;
#[cfg(feature = "axum")]
use super::router::{self, Nested};

/// What is known of a request's connection and its client, where the server has provided it.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    peer: Option<SocketAddr>,
    client: Option<ClientAddress>,
    local: Option<SocketAddr>,
    https: bool,
    pub(super) tls: Option<TlsInfo>,
    /// What a trusted proxy has said.
    forwarded: Option<Arc<ForwardedInfo>>,
}

impl Addresses {
    fn new(extensions: &Extensions) -> Self {
        if let Some(info) = extensions.get::<ConnectInfo>() {
            return Self {
                peer: info.peer(),
                client: info.client(),
                local: info.local(),
                https: info.scheme() == "https",
                tls: info.tls().cloned(),
                forwarded: info.forwarded().cloned(),
            };
        }
        #[cfg(feature = "axum")]
        let peer = router::peer(extensions);
        #[cfg(not(feature = "axum"))]
        let peer = None::<SocketAddr>;
        Self {
            peer,
            client: peer.map(ClientAddress::from),
            ..Self::default()
        }
    }
}

/// The settings of a service, the same for all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) script_name: String,
    pub(super) multithread: bool,
    pub(super) multiprocess: bool,
}

/// A request, as CGI variables and as http types.
///
/// [`variables`](Self::variables) returns the variables of PEP 3333 as bytes; a host for Python decodes them as Latin-1.
/// The `wsgi.` variables of PEP 3333 are methods.
#[derive(Debug)]
pub struct Environ {
    pub(super) parts: Parts,
    pub(super) input: Input,
    server: Arc<Server>,
    pub(super) addresses: Addresses,
    #[cfg(feature = "axum")]
    nested: Option<Box<Nested>>,
    /// Behind the prefix of a proxy: the whole script name.
    prefixed: Option<Vec<u8>>,
    pub(super) added: Vec<(String, Vec<u8>)>,
}

impl Environ {
    pub(super) fn new(parts: Parts, input: Input, server: Arc<Server>) -> Self {
        let mut environ = Self {
            addresses: Addresses::new(&parts.extensions),
            #[cfg(feature = "axum")]
            nested: Nested::new(&parts, &server.script_name),
            prefixed: None,
            parts,
            input,
            server,
            added: Vec::new(),
        };
        let forwarded = environ.addresses.forwarded.as_ref();
        if let Some(prefix) = forwarded.and_then(|forwarded| forwarded.prefix.as_deref()) {
            let mut script_name: Vec<u8> = percent_decode_str(prefix).collect();
            script_name.extend_from_slice(environ.own_script_name());
            environ.prefixed = Some(script_name);
        }
        environ
    }

    /// `REQUEST_METHOD`.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The URI of the request, as the service has received it: a router removes the prefix of a nested service.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The URI of the request, as the client has sent it. Without the feature `axum` it is [`uri`](Self::uri).
    #[must_use]
    pub fn original_uri(&self) -> &Uri {
        #[cfg(feature = "axum")]
        if let Some(uri) = router::original_uri(&self.parts.extensions) {
            return uri;
        }
        &self.parts.uri
    }

    /// `SERVER_PROTOCOL`.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The header fields, as the client has sent them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The extensions that the server and the layers have added to the request.
    #[must_use]
    pub fn extensions(&self) -> &http::Extensions {
        &self.parts.extensions
    }

    /// `SCRIPT_NAME`: the decoded path at which the application is mounted, behind the prefix that a trusted proxy has
    /// removed.
    #[must_use]
    pub fn script_name(&self) -> &[u8] {
        match &self.prefixed {
            Some(script_name) => script_name,
            None => self.own_script_name(),
        }
    }

    /// The script name behind the prefix of a proxy.
    fn own_script_name(&self) -> &[u8] {
        #[cfg(feature = "axum")]
        if let Some(nested) = &self.nested {
            return &nested.script_name;
        }
        self.server.script_name.as_bytes()
    }

    /// `PATH_INFO`: the decoded path, without the script name where it starts with that. It is empty for `OPTIONS *`,
    /// which concerns no path.
    #[must_use]
    pub fn path_info(&self) -> Cow<'_, [u8]> {
        #[cfg(feature = "axum")]
        if let Some(nested) = &self.nested {
            return Cow::from(&*nested.path_info);
        }
        let path = self.parts.uri.path();
        if path == "*" {
            return Cow::from(&b""[..]);
        }
        let path: Cow<'_, [u8]> = percent_decode(path.as_bytes()).into();
        match strip_prefix(&path, self.server.script_name.as_bytes()) {
            Some(rest) => rest.to_vec().into(),
            None => path,
        }
    }

    /// `QUERY_STRING`, not decoded; empty if there is none.
    #[must_use]
    pub fn query_string(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// `wsgi.url_scheme`: `http` or `https`, as [`ConnectInfo::scheme`] says.
    #[must_use]
    pub fn url_scheme(&self) -> &'static str {
        if self.addresses.https {
            "https"
        } else {
            "http"
        }
    }

    /// `wsgi.multithread`: whether another thread may call the application at the same time.
    #[must_use]
    pub fn multithread(&self) -> bool {
        self.server.multithread
    }

    /// `wsgi.multiprocess`: whether another process may run the same application at the same time.
    #[must_use]
    pub fn multiprocess(&self) -> bool {
        self.server.multiprocess
    }

    /// The client's address, from which `REMOTE_ADDR` and `REMOTE_PORT` are made, as [`ConnectInfo::client`] says; `None` on
    /// a Unix socket without a trusted proxy, and where the server has put no [`ConnectInfo`] into the extensions of the
    /// request.
    #[must_use]
    pub fn client(&self) -> Option<ClientAddress> {
        self.addresses.client
    }

    /// The address of who has connected, which may be a proxy; `None` on a Unix socket, and where the server has put no
    /// [`ConnectInfo`] into the extensions of the request.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.addresses.peer
    }

    /// The address that the peer connected to, from which `SERVER_NAME` and `SERVER_PORT` are made; `None` on a
    /// Unix socket, and where the server has put no [`ConnectInfo`] into the extensions of the request.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.addresses.local
    }

    /// What a trusted proxy has said of the request, if it has said anything.
    #[must_use]
    pub fn forwarded(&self) -> Option<&ForwardedInfo> {
        self.addresses.forwarded.as_deref()
    }

    /// The host that a trusted proxy has said.
    pub(super) fn forwarded_host(&self) -> Option<&str> {
        self.forwarded()?.host.as_deref()
    }

    /// `wsgi.input`: the body of the request.
    pub fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// Adds a variable, or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        let name = name.into();
        self.added.retain(|(other, _)| *other != name);
        self.added.push((name, value.into()));
    }

    /// The request, as http types.
    #[must_use]
    pub fn into_parts(self) -> (Parts, Input) {
        (self.parts, self.input)
    }
}

/// The rest of a path that starts with `prefix`; `None` if there is nothing to remove.
pub(super) fn strip_prefix<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return None;
    }
    match path.strip_prefix(prefix) {
        Some(rest @ ([] | [b'/', ..])) => Some(rest),
        _ => None,
    }
}
