//! What RFC 9113 asks a server to refuse, and h2 does not.

use http::{HeaderMap, HeaderValue, Request, header, uri::Scheme};

use super::tunnel::is_websocket;
use crate::connection::{
    check::{
        check_content_type, check_expect, check_host, check_method, check_target, replace_host,
    },
    refusal::Refusal,
    server_response::RequestSummary,
};

/// Refuses a request that a server must not act on. The service then finds the authority in `Host`, and one `Cookie` field, as
/// in HTTP/1.1. Gives what is kept of the request.
pub(super) fn check<B>(
    request: &mut Request<B>,
    max_fields: usize,
) -> Result<RequestSummary, Refusal> {
    // An extended CONNECT for a WebSocket is a request as any other; all others ask for a tunnel.
    if !is_websocket(request) {
        check_method(request.method())?;
    }
    check_target(request.method(), request.uri())?;
    if request.headers().len() > max_fields {
        return Err(Refusal::LargeHead);
    }
    let fields = CheckedFields::of(request.headers())?;
    let accept = fields.accept.cloned();
    let has_crumbs = fields.cookies > 1;
    match request.uri().authority() {
        None => check_host(fields.host, request.version())?,
        Some(authority) => {
            let scheme = request.uri().scheme();
            let is_other = |host: &&HeaderValue| !is_same(host, authority.as_str(), scheme);
            if fields.host.filter(is_other).is_some() {
                return Err(Refusal::DifferentHost);
            }
        }
    }
    check_content_type(request.headers())?;
    replace_host(request)?;
    if has_crumbs {
        join_cookies(request.headers_mut());
    }
    Ok(RequestSummary::with_accept(request, accept))
}

/// What is to be known of the fields, found in one pass.
#[derive(Default)]
struct CheckedFields<'a> {
    host: Option<&'a HeaderValue>,
    accept: Option<&'a HeaderValue>,
    cookies: usize,
}

impl<'a> CheckedFields<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for (name, value) in headers {
            // RFC 9113 section 8.2.1. HTTP/1.1 has removed it.
            if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value.as_bytes() {
                return Err(Refusal::Malformed);
            }
            if *name == header::HOST {
                if fields.host.replace(value).is_some() {
                    return Err(Refusal::SeveralHosts);
                }
            } else if *name == header::EXPECT {
                check_expect(value)?;
            } else if *name == header::ACCEPT {
                fields.accept.get_or_insert(value);
            } else if *name == header::COOKIE {
                fields.cookies += 1;
            }
        }
        Ok(fields)
    }
}

/// Whether `Host` is the authority (RFC 9113 section 8.3.1). The default port may be left out of either.
fn is_same(host: &HeaderValue, authority: &str, scheme: Option<&Scheme>) -> bool {
    let port = match scheme {
        Some(scheme) if *scheme == Scheme::HTTPS => ":443",
        _ => ":80",
    };
    let without_port = |host: &'_ [u8]| host.strip_suffix(port.as_bytes()).unwrap_or(host).to_vec();
    let (host, authority) = (host.as_bytes(), authority.as_bytes());
    host.eq_ignore_ascii_case(authority)
        || without_port(host).eq_ignore_ascii_case(&without_port(authority))
}

/// A client may split the field for better compression; all others expect one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    // What is made of valid values is one.
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn checked(uri: &str, fields: &[(&'static str, &'static str)]) -> Result<Request<()>, Refusal> {
        let mut request = Request::get(uri).version(http::Version::HTTP_2);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        check(&mut request, 10).map(|_| request)
    }

    #[test]
    fn the_authority_is_the_host() {
        for (uri, host) in [
            ("http://a/", None),
            ("http://a/", Some("A")),
            ("http://a/", Some("a:80")),
            ("https://a:443/", Some("a")),
        ] {
            let field = host.map(|host| ("host", host));
            let request = checked(uri, field.as_slice()).unwrap();
            let authority = request.uri().authority().unwrap().as_str();
            assert_eq!(request.headers()["host"], authority);
        }
        assert_eq!(
            checked("/", &[("host", "a")]).unwrap().headers()["host"],
            "a"
        );
        for (uri, fields, refusal) in [
            ("http://a/", &[("host", "b")][..], Refusal::DifferentHost),
            ("http://a/", &[("host", "a:81")], Refusal::DifferentHost),
            ("https://a/", &[("host", "a:80")], Refusal::DifferentHost),
            (
                "http://a/",
                &[("host", "a"), ("host", "a")],
                Refusal::SeveralHosts,
            ),
            ("/", &[], Refusal::NoHost),
            ("/", &[("host", "a b")], Refusal::InvalidHost),
            ("http://u@a/", &[], Refusal::TargetHost),
            ("ftp://a/", &[], Refusal::TargetScheme),
        ] {
            assert_eq!(
                checked(uri, fields).unwrap_err(),
                refusal,
                "{uri} {fields:?}"
            );
        }
    }

    #[test]
    fn the_crumbs_of_a_cookie_are_joined() {
        let crumbs = [("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2; c=3")];
        let request = checked("http://a/", &crumbs).unwrap();
        let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn other_rules_are_those_of_http_1() {
        let fields = [("a", "b"); 11];
        assert_eq!(
            checked("http://a/", &fields).unwrap_err(),
            Refusal::LargeHead
        );
        let expect = checked("http://a/", &[("expect", "x")]).unwrap_err();
        assert_eq!(expect.status(), StatusCode::EXPECTATION_FAILED);
        let types = [("content-type", "a/b"), ("content-type", "a/c")];
        let types = checked("http://a/", &types).unwrap_err();
        assert_eq!(types, Refusal::SeveralContentTypes);
        let mut tunnel = Request::connect("a:80").body(()).unwrap();
        assert_eq!(check(&mut tunnel, 10).unwrap_err(), Refusal::Connect);
    }
}
