//! A request as the access log sees it.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};

use crate::request_id::X_REQUEST_ID;

/// What a line says of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum LoggedRequest<'a> {
    Request {
        method: &'a Method,
        uri: &'a Uri,
        version: Version,
        headers: &'a HeaderMap,
        /// In place of the version: the protocol to which the connection was upgraded.
        protocol: Option<&'a [u8]>,
    },
    /// The request line of one that could not be parsed.
    Line {
        method: &'a [u8],
        target: &'a [u8],
        version: &'a [u8],
    },
}

impl<'a, B> From<&'a Request<B>> for LoggedRequest<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::Request {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            protocol: None,
        }
    }
}

/// The header fields that a line can contain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) referer: Option<&'a HeaderValue>,
    pub(super) user_agent: Option<&'a HeaderValue>,
}

impl<'a> LoggedRequest<'a> {
    /// From what a client has sent. `None` unless that begins with a request line.
    pub(super) fn of_sent(sent: &'a [u8]) -> Option<Self> {
        let line = sent.trim_ascii_start().split(|byte| *byte == b'\n');
        let line = line.into_iter().next()?.trim_ascii_end();
        let begin = line.iter().position(|byte| *byte == b' ')?;
        let (method, rest) = (&line[..begin], line[begin..].trim_ascii_start());
        let (target, version) = match rest.iter().rposition(|byte| *byte == b' ') {
            Some(end) => (rest[..end].trim_ascii_end(), &rest[end + 1..]),
            None => (rest, &b""[..]),
        };
        let is_method = method.len() <= 32 && method.iter().all(u8::is_ascii_graphic);
        (is_method && !target.is_empty()).then_some(Self::Line {
            method,
            target,
            version,
        })
    }

    /// The upgraded connection that the request has led to.
    pub(super) fn upgraded(mut self) -> Self {
        if let Self::Request {
            headers, protocol, ..
        } = &mut self
        {
            let asked = headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
            *protocol = asked;
        }
        self
    }

    pub(super) fn is_head(self) -> bool {
        self.method() == b"HEAD"
    }

    pub(super) fn method(self) -> &'a [u8] {
        match self {
            Self::Request { method, .. } => method.as_str().as_bytes(),
            Self::Line { method, .. } => method,
        }
    }

    fn headers(self) -> Option<&'a HeaderMap> {
        match self {
            Self::Request { headers, .. } => Some(headers),
            Self::Line { .. } => None,
        }
    }

    /// Finds all of them in one pass, which is cheaper than a search for each. Of several with one name, the first counts.
    pub(super) fn fields(self) -> Fields<'a> {
        let mut fields = Fields::default();
        for (name, value) in self.headers().into_iter().flatten() {
            let field = match *name {
                header::AUTHORIZATION => &mut fields.authorization,
                header::REFERER => &mut fields.referer,
                header::USER_AGENT => &mut fields.user_agent,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        fields
    }

    /// The target as it was sent.
    pub(super) fn with_target(self, write: impl FnOnce(&[u8])) {
        let (uri, version) = match self {
            Self::Request { uri, version, .. } => (uri, version),
            Self::Line { target, .. } => return write(target),
        };
        match uri.path_and_query() {
            // HTTP/2 sends the authority apart.
            Some(path) if uri.authority().is_none() || version == Version::HTTP_2 => {
                write(path.as_str().as_bytes());
            }
            _ => write(uri.to_string().as_bytes()),
        }
    }

    pub(super) fn version(self) -> &'a [u8] {
        match self {
            Self::Request {
                protocol: Some(protocol),
                ..
            } => protocol,
            Self::Request { version, .. } if version == Version::HTTP_10 => b"HTTP/1.0",
            Self::Request { version, .. } if version == Version::HTTP_2 => b"HTTP/2.0",
            Self::Request { .. } => b"HTTP/1.1",
            Self::Line { version, .. } => version,
        }
    }

    /// The identifier, where the server gives each request one.
    pub(super) fn id(self) -> Option<&'a [u8]> {
        let id = self.headers()?.get(X_REQUEST_ID);
        id.map(HeaderValue::as_bytes)
    }

    /// The authority of an absolute target counts before the field (RFC 9112 section 3.2.2).
    pub(super) fn host(self) -> Option<&'a [u8]> {
        let Self::Request { uri, headers, .. } = self else {
            return None;
        };
        let authority = uri.authority();
        let authority = authority.map(|authority| authority.as_str().as_bytes());
        authority.or_else(|| Some(headers.get(header::HOST)?.as_bytes()))
    }
}

/// The user of basic authentication (RFC 7617), from the field `authorization`.
pub(super) fn user(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let value = authorization.as_bytes();
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = base64(credentials.trim_ascii())?;
    let end = user.iter().position(|&byte| byte == b':')?;
    user.truncate(end);
    (!user.is_empty()).then_some(user)
}

/// Decodes base64 (RFC 4648 section 4), with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    let digits = digits.unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for &digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - group.len();
        let [_, group_bytes @ ..] = (bits << (6 * missing)).to_be_bytes();
        // One digit alone is not a byte.
        bytes.extend_from_slice(
            group_bytes
                .get(..3 - missing)
                .filter(|some| !some.is_empty())?,
        );
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authorization: &str) -> Option<String> {
        let value = HeaderValue::from_str(authorization).unwrap();
        user(&value).map(|user| String::from_utf8_lossy(&user).into_owned())
    }

    #[test]
    fn the_user_without_the_password() {
        // ann:secret, bo:x, a:b:c, é:x, 16 different digits, each with `printf %s … | base64`.
        assert_eq!(of("Basic YW5uOnNlY3JldA==").unwrap(), "ann");
        assert_eq!(of("basic  Ym86eA== ").unwrap(), "bo");
        assert_eq!(of("Basic Ym86eA").unwrap(), "bo");
        assert_eq!(of("Basic YTpiOmM=").unwrap(), "a");
        assert_eq!(of("Basic w6k6eA==").unwrap(), "é");
        assert_eq!(of("Basic Pz8/Pj4+OjA5").unwrap(), "???>>>");
    }

    #[test]
    fn other_credentials_have_no_user() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YW5u",
            "Basic Y",
            "Basic OnNlY3JldA==",
            "Basic YW5u OnNlY3JldA==",
            "Bearer YW5uOnNlY3JldA==",
            "é Basic",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
