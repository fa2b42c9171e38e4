//! A request as CGI variables.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    net::IpAddr,
};

use http::{
    HeaderName, Version, header,
    uri::{Authority, PathAndQuery},
};

use super::Environ;

const SOFTWARE: &str = concat!("tower-wsgi/", env!("CARGO_PKG_VERSION"));

static HOST: HeaderName = header::HOST;

/// Not a field of HTTP. As `HTTP_PROXY` it would be the variable in which programs look for the proxy of their own
/// requests.
static PROXY: HeaderName = HeaderName::from_static("proxy");

/// The name of a CGI variable.
///
/// It is displayed as PEP 3333 spells it. A header field keeps its own name until then, so that a server can cache the
/// spelled names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable<'a> {
    /// A variable with this name.
    Named(&'a str),
    /// A header field: `HTTP_` and its name.
    Header(&'a HeaderName),
}

impl Variable<'_> {
    /// Whether it is displayed as `name`.
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Named(own) => *own == name,
            Self::Header(_) => self.to_string() == name,
        }
    }
}

impl Environ {
    /// The value of one variable, by its name in PEP 3333.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.variables()
            .find(|(variable, _)| variable.is(name))
            .map(|(_, value)| value)
    }

    /// All CGI variables, each once.
    ///
    /// * The values of a header field that was sent several times are joined by commas, those of `Cookie` by semicolons
    ///   (RFC 9110 section 5.3, RFC 6265 section 5.4).
    /// * A header field with an underscore in its name is left out: as a variable it would have the same name as the
    ///   field with a hyphen, which a proxy may have checked.
    /// * `Proxy` is left out: as `HTTP_PROXY` it would set the proxy of the programs that the application starts
    ///   ([httpoxy](https://httpoxy.org)).
    /// * `CONTENT_LENGTH` is the length of a body that has arrived, also of a chunked one; `HTTP_TRANSFER_ENCODING` is
    ///   left out then.
    /// * Over TLS there are also the [`SSL_` variables](Self::tls_variables), with the names of `mod_ssl`.
    /// * The host of an absolute target replaces `HTTP_HOST` (RFC 9112 section 3.2.2), and so do the `:authority` of
    ///   HTTP/2 and the [host](tower_server_info::ConnectInfo::host) that a trusted proxy has said.
    pub fn variables(&self) -> impl Iterator<Item = (Variable<'_>, Cow<'_, [u8]>)> {
        let fixed = self.fixed().into_iter();
        let fixed = fixed.filter_map(|(name, value)| Some((Variable::Named(name), value?)));
        let tls = self.tls_variables();
        let tls = tls.map(|(name, value)| (Variable::Named(name), value));
        let fields = self.fields();
        let fields = fields.map(|(name, value)| (Variable::Header(name), value));
        let added = self.added.iter();
        let added = added
            .map(|(name, value)| (Variable::Named(name.as_str()), Cow::from(value.as_slice())));
        fixed
            .chain(tls)
            .chain(fields)
            .filter(|(name, _)| !self.added.iter().any(|(added, _)| name.is(added)))
            .chain(added)
    }

    fn fixed(&self) -> [(&'static str, Option<Cow<'_, [u8]>>); 14] {
        let (server_name, server_port) = self.server_address();
        let client = self.client();
        let address = client.map(|client| client.ip.to_canonical().to_string());
        let port = client.and_then(|client| client.port);
        let target = self.target();
        [
            ("REQUEST_METHOD", Some(text(self.method().as_str()))),
            ("SCRIPT_NAME", Some(Cow::from(self.script_name()))),
            ("PATH_INFO", Some(self.path_info())),
            ("QUERY_STRING", Some(text(self.query_string()))),
            ("REQUEST_URI", Some(target.clone())),
            ("RAW_URI", Some(target)),
            ("CONTENT_TYPE", self.content_type().map(Cow::from)),
            ("CONTENT_LENGTH", self.content_length()),
            ("SERVER_NAME", Some(server_name)),
            ("SERVER_PORT", Some(server_port)),
            ("SERVER_SOFTWARE", Some(text(self.server_software()))),
            ("SERVER_PROTOCOL", Some(text(self.protocol()))),
            // CGI requires it (RFC 3875 section 4.1.8), also for a client without an address.
            ("REMOTE_ADDR", Some(owned(address.unwrap_or_default()))),
            ("REMOTE_PORT", port.map(|port| owned(port.to_string()))),
        ]
    }

    /// The header fields that become `HTTP_` variables, each once, with their values.
    pub fn fields(&self) -> impl Iterator<Item = (&HeaderName, Cow<'_, [u8]>)> {
        let headers = &self.parts.headers;
        let arrived = self.input.length().is_some();
        let host = self.replaced_host().map(|host| (&HOST, host));
        let is_host_replaced = host.is_some();
        let is_field = move |name: &HeaderName| {
            !(name == header::CONTENT_LENGTH
                || name == header::CONTENT_TYPE
                || (name == HOST && is_host_replaced)
                || (name == header::TRANSFER_ENCODING && arrived)
                || name == PROXY
                || name.as_str().contains('_'))
        };
        // Looking for further values of a name costs a search, which is not needed if each name occurs once.
        let each_once = headers.len() == headers.keys_len();
        let single = each_once.then_some(headers).into_iter().flatten();
        let single = single.map(|(name, value)| (name, Cow::from(value.as_bytes())));
        let several = (!each_once).then(|| headers.keys()).into_iter().flatten();
        let several = several.filter_map(|name| Some((name, self.joined(name)?)));
        let fields = single.chain(several);
        host.into_iter()
            .chain(fields.filter(move |(name, _)| is_field(name)))
    }

    /// `CONTENT_TYPE`.
    #[must_use]
    pub fn content_type(&self) -> Option<&[u8]> {
        let value = self.parts.headers.get(header::CONTENT_TYPE)?;
        Some(value.as_bytes())
    }

    /// `SERVER_SOFTWARE`.
    #[must_use]
    pub fn server_software(&self) -> &'static str {
        SOFTWARE
    }

    /// `SERVER_PROTOCOL`, as text.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self.version() {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    /// `REQUEST_URI` and `RAW_URI`: the target of the request, as the client has sent it.
    #[must_use]
    pub fn target(&self) -> Cow<'_, [u8]> {
        let uri = self.original_uri();
        match uri.path_and_query().map(PathAndQuery::as_str) {
            // HTTP/2 sends the authority apart.
            Some(target) if uri.authority().is_none() || self.version() == Version::HTTP_2 => {
                text(target)
            }
            _ => owned(uri.to_string()),
        }
    }

    /// `SERVER_NAME` and `SERVER_PORT`: the address that the client has connected to. Where that is not known, as on a
    /// Unix socket, they are those of the `Host` field; where a trusted proxy has said the host, they are those of that.
    #[must_use]
    pub fn server_address(&self) -> (Cow<'_, [u8]>, Cow<'_, [u8]>) {
        if let Some(local) = self.local().filter(|_| self.has_fixed_address()) {
            let name = match local.ip().to_canonical() {
                IpAddr::V4(ip) => ip.to_string(),
                // As in a URL (RFC 3875 section 4.1.14).
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            return (owned(name), owned(local.port().to_string()));
        }
        let default_port = match self.url_scheme() {
            "https" => "443",
            _ => "80",
        };
        let authority = self.host();
        let authority = authority.and_then(|host| Authority::try_from(&*host).ok());
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

    /// Whether [`server_address`](Self::server_address) is that of the connection, for all its requests.
    #[must_use]
    pub fn has_fixed_address(&self) -> bool {
        self.local().is_some() && self.forwarded_host().is_none()
    }

    /// `CONTENT_LENGTH`.
    #[must_use]
    pub fn content_length(&self) -> Option<Cow<'_, [u8]>> {
        let length = self.input.length().filter(|length| {
            let headers = &self.parts.headers;
            // Without these fields the request has no body, which is not the same as an empty one.
            *length > 0
                || headers.contains_key(header::CONTENT_LENGTH)
                || headers.contains_key(header::TRANSFER_ENCODING)
        });
        if let Some(length) = length {
            return Some(owned(length.to_string()));
        }
        let sent = self.parts.headers.get(header::CONTENT_LENGTH)?.as_bytes();
        // A list of the same number means this number (RFC 9110 section 8.6).
        let mut sent = sent.split(|byte| *byte == b',');
        sent.next().map(|sent| Cow::from(sent.trim_ascii()))
    }

    /// `HTTP_HOST`.
    fn host(&self) -> Option<Cow<'_, [u8]>> {
        self.replaced_host().or_else(|| self.joined(&HOST))
    }

    /// What stands in place of the field `Host`.
    fn replaced_host(&self) -> Option<Cow<'_, [u8]>> {
        match self.forwarded_host() {
            Some(host) => Some(text(host)),
            None => self.parts.uri.authority().map(host_of),
        }
    }

    /// All values of a header field.
    fn joined(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
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

/// The authority without the user information.
fn host_of(authority: &Authority) -> Cow<'_, [u8]> {
    let host = authority.as_str();
    text(host.rsplit('@').next().unwrap_or(host))
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
            f.write_char(match character {
                '-' => '_',
                other => other.to_ascii_uppercase(),
            })?;
        }
        Ok(())
    }
}
