use std::{borrow::Cow, fmt, net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderName, Method, Uri, Version, header, request::Parts};
use percent_encoding::percent_decode;

use super::Input;

/// The ends of the connection that a request arrived on, as far as they are known.
///
/// They become `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_NAME` and `SERVER_PORT`.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// The client's address.
    pub remote: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
    /// Whether the connection is encrypted: the scheme is `https` then.
    pub encrypted: bool,
}

const SOFTWARE: &str = concat!("tower-wsgi/", env!("CARGO_PKG_VERSION"));

/// What is the same for all requests of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) script_name: String,
    pub(super) multithread: bool,
    pub(super) multiprocess: bool,
}

/// A request, as CGI variables and as http types.
///
/// [`variables`](Self::variables) gives the variables of PEP 3333 as bytes; a server in Python makes
/// its native strings of them as Latin-1. What PEP 3333 keeps in `wsgi.` variables are methods here.
#[derive(Debug)]
pub struct Environ {
    parts: Parts,
    input: Input,
    server: Arc<Server>,
    ends: Ends,
    added: Vec<(String, Vec<u8>)>,
}

/// The name of a CGI variable.
///
/// It is displayed as PEP 3333 spells it. A header field stays what it is until then, so that a
/// server can keep the spelled names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable<'a> {
    /// A variable with this name.
    Named(&'a str),
    /// A header field: `HTTP_` and its name.
    Header(&'a HeaderName),
}

impl Environ {
    pub(super) fn new(parts: Parts, input: Input, server: Arc<Server>, ends: Ends) -> Self {
        Self {
            parts,
            input,
            server,
            ends,
            added: Vec::new(),
        }
    }

    /// `REQUEST_METHOD`.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The target of the request, as sent.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// `SERVER_PROTOCOL`.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The header fields, as sent.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// What servers and layers have added to the request.
    #[must_use]
    pub fn extensions(&self) -> &http::Extensions {
        &self.parts.extensions
    }

    /// `SCRIPT_NAME`: where the application is mounted.
    #[must_use]
    pub fn script_name(&self) -> &str {
        &self.server.script_name
    }

    /// `PATH_INFO`: the decoded path, without the script name where it starts with that.
    #[must_use]
    pub fn path_info(&self) -> Cow<'_, [u8]> {
        let path: Cow<'_, [u8]> = percent_decode(self.parts.uri.path().as_bytes()).into();
        let script_name = self.script_name().as_bytes();
        if script_name.is_empty() {
            return path;
        }
        match path.strip_prefix(script_name) {
            Some(rest @ ([] | [b'/', ..])) => rest.to_vec().into(),
            _ => path,
        }
    }

    /// `QUERY_STRING`, as sent; empty where there is none.
    #[must_use]
    pub fn query_string(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// `wsgi.url_scheme`: `http` or `https`.
    #[must_use]
    pub fn url_scheme(&self) -> &'static str {
        if self.ends.encrypted { "https" } else { "http" }
    }

    /// `wsgi.multithread`: whether the application may be called by another thread at the same time.
    #[must_use]
    pub fn multithread(&self) -> bool {
        self.server.multithread
    }

    /// `wsgi.multiprocess`: whether another process may run the same application at the same time.
    #[must_use]
    pub fn multiprocess(&self) -> bool {
        self.server.multiprocess
    }

    /// The ends of the connection.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
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

    /// The value of one variable, by the name of PEP 3333.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.variables()
            .find(|(variable, _)| match variable {
                Variable::Named(other) => *other == name,
                Variable::Header(_) => variable.to_string() == name,
            })
            .map(|(_, value)| value)
    }

    /// All CGI variables, each once.
    ///
    /// * A header field that was sent several times is joined by commas, `Cookie` by semicolons (RFC
    ///   9110 section 5.3, RFC 6265 section 5.4).
    /// * A header field with an underscore in its name is left out: as a variable it could not be told
    ///   from the one with a hyphen, which a proxy may have checked.
    /// * `CONTENT_LENGTH` is the length of a body that has arrived, however it was sent;
    ///   `HTTP_TRANSFER_ENCODING` is left out then.
    /// * The host of an absolute target takes the place of `HTTP_HOST` (RFC 9112 section 3.2.2).
    pub fn variables(&self) -> impl Iterator<Item = (Variable<'_>, Cow<'_, [u8]>)> {
        let fixed = self.fixed().into_iter();
        let fixed = fixed.filter_map(|(name, value)| Some((Variable::Named(name), value?)));
        let fields = self.parts.headers.keys().filter_map(|name| {
            let value = self.field(name)?;
            Some((Variable::Header(name), value))
        });
        let added = self.added.iter();
        let added = added
            .map(|(name, value)| (Variable::Named(name.as_str()), Cow::from(value.as_slice())));
        fixed
            .chain(fields)
            .filter(|(name, _)| self.added.is_empty() || !self.is_replaced(*name))
            .chain(added)
    }

    /// The request, as http types.
    #[must_use]
    pub fn into_parts(self) -> (Parts, Input) {
        (self.parts, self.input)
    }

    fn is_replaced(&self, name: Variable<'_>) -> bool {
        let name = name.to_string();
        self.added.iter().any(|(other, _)| *other == name)
    }

    fn fixed(&self) -> [(&'static str, Option<Cow<'_, [u8]>>); 14] {
        let (server_name, server_port) = self.server_address();
        let remote = self.ends.remote.map(|remote| {
            let (ip, port) = (remote.ip().to_canonical(), remote.port());
            (ip.to_string(), port.to_string())
        });
        let (address, port) = remote.unzip();
        let target = self.target();
        [
            ("REQUEST_METHOD", Some(text(self.parts.method.as_str()))),
            ("SCRIPT_NAME", Some(text(self.script_name()))),
            ("PATH_INFO", Some(self.path_info())),
            ("QUERY_STRING", Some(text(self.query_string()))),
            ("REQUEST_URI", Some(target.clone())),
            ("RAW_URI", Some(target)),
            ("CONTENT_TYPE", self.first(&header::CONTENT_TYPE)),
            ("CONTENT_LENGTH", self.content_length()),
            ("SERVER_NAME", Some(server_name)),
            ("SERVER_PORT", Some(server_port)),
            ("SERVER_SOFTWARE", Some(text(SOFTWARE))),
            ("SERVER_PROTOCOL", Some(text(self.protocol()))),
            // CGI demands it (RFC 3875 section 4.1.8), also where the client has no address.
            ("REMOTE_ADDR", Some(owned(address.unwrap_or_default()))),
            ("REMOTE_PORT", port.map(owned)),
        ]
    }

    fn protocol(&self) -> &'static str {
        match self.parts.version {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    fn target(&self) -> Cow<'_, [u8]> {
        let uri = &self.parts.uri;
        match uri.path_and_query() {
            Some(target) if uri.authority().is_none() => text(target.as_str()),
            _ => owned(uri.to_string()),
        }
    }

    /// Where the client connected to; on a Unix socket, where it thinks that it did.
    fn server_address(&self) -> (Cow<'_, [u8]>, Cow<'_, [u8]>) {
        if let Some(local) = self.ends.local {
            let ip = local.ip().to_canonical();
            return (owned(ip.to_string()), owned(local.port().to_string()));
        }
        let default_port = if self.ends.encrypted { "443" } else { "80" };
        let host = self.first(&header::HOST);
        let host = host.as_deref().and_then(|host| str::from_utf8(host).ok());
        let authority = self.parts.uri.authority().cloned();
        let authority = authority.or_else(|| host?.parse().ok());
        match authority {
            Some(authority) if !authority.host().is_empty() => {
                let port = authority.port_u16();
                (
                    owned(authority.host().to_owned()),
                    port.map_or(text(default_port), |port| owned(port.to_string())),
                )
            }
            _ => (text("localhost"), text(default_port)),
        }
    }

    fn content_length(&self) -> Option<Cow<'_, [u8]>> {
        let sent = self.first(&header::CONTENT_LENGTH);
        match self.input.length() {
            Some(0) if !self.has_body() => sent,
            Some(length) => Some(owned(length.to_string())),
            None => sent,
        }
    }

    /// Whether the request was sent with a body, be it an empty one.
    fn has_body(&self) -> bool {
        let headers = &self.parts.headers;
        headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING)
    }

    fn first(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        let value = self.parts.headers.get(name)?;
        Some(Cow::from(value.as_bytes()))
    }

    /// The value of a header field that becomes a variable of its own.
    fn field(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        let arrived = self.input.length().is_some();
        if name == header::CONTENT_LENGTH
            || name == header::CONTENT_TYPE
            || (name == header::TRANSFER_ENCODING && arrived)
            || name.as_str().contains('_')
        {
            return None;
        }
        if name == header::HOST
            && let Some(authority) = self.parts.uri.authority()
        {
            return Some(text(authority.as_str()));
        }
        let mut values = self.parts.headers.get_all(name).iter();
        let first = values.next()?.as_bytes();
        let Some(second) = values.next() else {
            return Some(Cow::from(first));
        };
        let separator: &[u8] = if name == header::COOKIE { b"; " } else { b"," };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            joined.extend_from_slice(separator);
            joined.extend_from_slice(value.as_bytes());
        }
        Some(Cow::from(joined))
    }
}

fn text(text: &str) -> Cow<'_, [u8]> {
    Cow::from(text.as_bytes())
}

fn owned(text: String) -> Cow<'static, [u8]> {
    Cow::from(text.into_bytes())
}

impl fmt::Display for Variable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Named(name) => return f.write_str(name),
            Self::Header(name) => name.as_str(),
        };
        f.write_str("HTTP_")?;
        for character in name.chars() {
            let character = match character {
                '-' => '_',
                other => other.to_ascii_uppercase(),
            };
            fmt::Write::write_char(f, character)?;
        }
        Ok(())
    }
}
