//! Redirects clients to HTTPS: [`RedirectToHttps`].

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{HOST, LOCATION},
    uri::{Authority, PathAndQuery},
};
use http_body_util::Full;
use tower_server_info::ServerResponse;
use tower_service::Service;

/// A service that redirects each request to HTTPS, on the same host, with the same path and query.
///
/// `GET` and `HEAD` get 301, which every client knows; other methods get 308, at which a client repeats the request with its
/// method and body. A request without a valid host, which only one of HTTP/1.0 can be, gets 400. The body of the request is not
/// read.
///
/// The host is that which the client has asked for, and is not compared with a list: a response is a redirect of a client
/// to where it wanted to go. A challenge of ACME (`/.well-known/acme-challenge/`) is redirected too; certificate authorities
/// follow the redirect, and do not check the certificate behind it.
///
/// ```
/// use http::{Request, header::LOCATION};
/// use tower::ServiceExt;
/// use tower_serve::RedirectToHttps;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let request = Request::get("/a?b=c").header("host", "shop.example:80").body(()).unwrap();
/// let response = RedirectToHttps::new(443).oneshot(request).await.unwrap();
/// assert_eq!(response.status(), 301);
/// assert_eq!(response.headers()[LOCATION], "https://shop.example/a?b=c");
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RedirectToHttps {
    port: u16,
}

impl RedirectToHttps {
    /// Redirects to this port.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        Self { port }
    }

    fn respond<B>(self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Some(location) = self.location(request) else {
            let refusal = ServerResponse::new(
                StatusCode::BAD_REQUEST,
                "The request names no host that it could be redirected to.",
            );
            let accept = request.headers().get(http::header::ACCEPT);
            return refusal.render(accept);
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = match *request.method() {
            Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::PERMANENT_REDIRECT,
        };
        response.headers_mut().insert(LOCATION, location);
        response
    }

    fn location<B>(self, request: &Request<B>) -> Option<HeaderValue> {
        // A host in the target goes over the field (RFC 9112 section 3.2.2).
        let authority = request.uri().authority().cloned();
        let field = || Authority::try_from(request.headers().get(HOST)?.as_bytes()).ok();
        let authority = authority.or_else(field)?;
        let host = authority.host();
        // The userinfo that an authority may have is no part of a host.
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        let target = request.uri().path_and_query().map(PathAndQuery::as_str);
        // `OPTIONS *` has no path.
        let target = target.filter(|target| target.starts_with('/'));
        let target = target.unwrap_or("/");
        let location = match self.port {
            443 => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        };
        HeaderValue::try_from(location).ok()
    }
}

impl<B> Service<Request<B>> for RedirectToHttps {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.respond(&request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(port: u16, method: &str, target: &str, host: Option<&str>) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let response = RedirectToHttps::new(port).respond(&request.body(()).unwrap());
        let location = response.headers().get(LOCATION);
        let location = location.map_or("", |location| location.to_str().unwrap());
        (response.status().as_u16(), location.to_owned())
    }

    #[test]
    fn to_the_same_host_path_and_query() {
        for (port, method, target, host, status, location) in [
            (443, "GET", "/", "a", 301, "https://a/"),
            (
                443,
                "HEAD",
                "/b?c=%20/&d",
                "a:80",
                301,
                "https://a/b?c=%20/&d",
            ),
            (
                8443,
                "POST",
                "/b",
                "a.example:8080",
                308,
                "https://a.example:8443/b",
            ),
            (443, "DELETE", "/", "[::1]:80", 308, "https://[::1]/"),
            (
                8443,
                "GET",
                "/",
                "127.0.0.1",
                301,
                "https://127.0.0.1:8443/",
            ),
            (
                443,
                "GET",
                "http://b.example:80/c",
                "a",
                301,
                "https://b.example/c",
            ),
            (443, "OPTIONS", "*", "a", 308, "https://a/"),
            (
                443,
                "GET",
                "//evil.example/",
                "a",
                301,
                "https://a//evil.example/",
            ),
            (
                443,
                "GET",
                "/.well-known/acme-challenge/x",
                "a",
                301,
                "https://a/.well-known/acme-challenge/x",
            ),
        ] {
            let got = redirect(port, method, target, Some(host));
            assert_eq!(
                got,
                (status, location.to_owned()),
                "{method} {target} {host}"
            );
        }
    }

    #[test]
    fn without_a_host_there_is_nowhere_to_go() {
        let nowhere = (400, String::new());
        for host in [
            None,
            Some(""),
            Some(":80"),
            Some("a@b"),
            Some("a/b"),
            Some("a b"),
            Some("a\\b"),
        ] {
            assert_eq!(redirect(443, "GET", "/", host), nowhere, "{host:?}");
        }
    }
}
