//! Environs for the tests of an application.

use std::net::{Ipv4Addr, SocketAddr};

use http::{HeaderName, HeaderValue, Method, Request, Uri, header::HOST};
use tower_server_info::ConnectInfo;

use super::{Environ, environ::Server};
use crate::BufferedBody;

/// A valid environ for a `GET` of this URL: a path, or `http://host/path`. A URL with `https` has the effect of
/// [`https`](EnvironBuilder::https).
///
/// ```
/// use std::io::Read;
/// use tower_wsgi::wsgi::testing;
///
/// let mut environ = testing::environ("/books?page=2")
///     .method("POST")
///     .header("content-type", "text/plain")
///     .body("hello")
///     .https()
///     .variable("REMOTE_USER", "ada")
///     .build();
/// assert_eq!(environ.get("PATH_INFO").unwrap(), &b"/books"[..]);
/// assert_eq!(environ.get("CONTENT_LENGTH").unwrap(), &b"5"[..]);
/// assert_eq!(environ.get("REMOTE_USER").unwrap(), &b"ada"[..]);
/// assert_eq!(environ.url_scheme(), "https");
/// let mut body = String::new();
/// environ.input().read_to_string(&mut body)?;
/// assert_eq!(body, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// Here and in the builder, when a part of the request is not valid.
#[track_caller]
pub fn environ(url: &str) -> EnvironBuilder {
    let uri: Uri = url
        .parse()
        .expect("a path, or a URL with a scheme and a host");
    let encrypted = uri.scheme_str() == Some("https");
    let host = uri.authority().map_or("127.0.0.1", |host| host.as_str());
    let host = HeaderValue::from_str(host).expect("a host is a valid header value");
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::builder().uri(target).header(HOST, host);
    EnvironBuilder {
        request: request
            .body(BufferedBody::default())
            .expect("a valid request"),
        encrypted,
        variables: Vec::new(),
    }
}

/// Builds an [`Environ`]; made by [`environ`].
#[derive(Debug)]
#[must_use]
pub struct EnvironBuilder {
    request: Request<BufferedBody>,
    encrypted: bool,
    variables: Vec<(String, Vec<u8>)>,
}

impl EnvironBuilder {
    /// The method of the request.
    #[track_caller]
    pub fn method(mut self, method: &str) -> Self {
        *self.request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a valid method");
        self
    }

    /// Adds a header field; `Host` replaces the one of the URL.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a valid header name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a valid header value");
        let headers = self.request.headers_mut();
        if name == HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
        self
    }

    /// Sets the body of the request, and its `Content-Length`.
    pub fn body(mut self, body: impl Into<bytes::Bytes>) -> Self {
        let body = BufferedBody::from(body);
        let length = HeaderValue::from(body.len());
        self.request
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length);
        *self.request.body_mut() = body;
        self
    }

    /// Makes the connection an encrypted one.
    pub fn https(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// Adds a variable, or replaces it.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The environ.
    #[must_use]
    pub fn build(self) -> Environ {
        let port = if self.encrypted { 443 } else { 80 };
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut connection = ConnectInfo::tcp(address(port), address(49152));
        if self.encrypted {
            connection = connection.encrypted();
        }
        let (mut parts, body) = self.request.into_parts();
        parts.extensions.insert(connection);
        let mut environ = Environ::new(parts, body.into(), Server::default().into());
        for (name, value) in self.variables {
            environ.insert(name, value);
        }
        environ
    }
}
