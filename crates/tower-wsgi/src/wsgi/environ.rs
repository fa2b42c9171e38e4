use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Uri, Version, request::Parts};
use percent_encoding::percent_decode;

use super::Input;

/// The ends of the connection that a request arrived on, as far as they are known.
///
/// They become `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_NAME` and `SERVER_PORT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The client's address.
    pub remote: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
    /// Whether the connection is encrypted: the scheme is `https` then.
    pub encrypted: bool,
}

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
    pub(super) parts: Parts,
    pub(super) input: Input,
    server: Arc<Server>,
    ends: Ends,
    pub(super) added: Vec<(String, Vec<u8>)>,
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

    /// `PATH_INFO`: the decoded path, without the script name where it starts with that. It is empty for
    /// `OPTIONS *`, which asks about no path.
    #[must_use]
    pub fn path_info(&self) -> Cow<'_, [u8]> {
        let path = self.parts.uri.path();
        if path == "*" {
            return Cow::from(&b""[..]);
        }
        let path: Cow<'_, [u8]> = percent_decode(path.as_bytes()).into();
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

    /// The request, as http types.
    #[must_use]
    pub fn into_parts(self) -> (Parts, Input) {
        (self.parts, self.input)
    }
}
