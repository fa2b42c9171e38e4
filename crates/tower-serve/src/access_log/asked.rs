use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};

/// A request, as far as a line tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked<'a> {
    Request {
        method: &'a Method,
        uri: &'a Uri,
        version: Version,
        headers: &'a HeaderMap,
    },
    /// One that could not be parsed.
    Line {
        method: &'a [u8],
        target: &'a [u8],
        version: &'a [u8],
    },
}

impl<'a, B> From<&'a Request<B>> for Asked<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::Request {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
        }
    }
}

/// The fields that a line may tell of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) referer: Option<&'a HeaderValue>,
    pub(super) user_agent: Option<&'a HeaderValue>,
}

impl<'a> Asked<'a> {
    /// Nothing, unless what was sent begins as a request line does.
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

    /// All in one pass, which is cheaper than to look for each. Of several with one name, the first.
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
        let uri = match self {
            Self::Request { uri, .. } => uri,
            Self::Line { target, .. } => return write(target),
        };
        match uri.path_and_query() {
            Some(path) if uri.authority().is_none() => write(path.as_str().as_bytes()),
            _ => write(uri.to_string().as_bytes()),
        }
    }

    pub(super) fn version(self) -> &'a [u8] {
        match self {
            Self::Request { version, .. } if version == Version::HTTP_10 => b"HTTP/1.0",
            Self::Request { .. } => b"HTTP/1.1",
            Self::Line { version, .. } => version,
        }
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
