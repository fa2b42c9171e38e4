use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};

/// A request, as far as a line tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
}

impl<'a, B> From<&'a Request<B>> for Asked<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
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
    pub(super) fn is_head(self) -> bool {
        self.method == Method::HEAD
    }

    /// All in one pass, which is cheaper than to look for each. Of several with one name, the first.
    pub(super) fn fields(self) -> Fields<'a> {
        let mut fields = Fields::default();
        for (name, value) in self.headers {
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
        match self.uri.path_and_query() {
            Some(path) if self.uri.authority().is_none() => write(path.as_str().as_bytes()),
            _ => write(self.uri.to_string().as_bytes()),
        }
    }

    pub(super) fn version(self) -> &'static str {
        if self.version == Version::HTTP_10 {
            "HTTP/1.0"
        } else {
            "HTTP/1.1"
        }
    }

    /// The authority of an absolute target counts before the field (RFC 9112 section 3.2.2).
    pub(super) fn host(self) -> Option<&'a [u8]> {
        let authority = self.uri.authority();
        let authority = authority.map(|authority| authority.as_str().as_bytes());
        authority.or_else(|| Some(self.headers.get(header::HOST)?.as_bytes()))
    }
}
