//! What HTTP asks a server to refuse, and hyper does not.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header, request::Parts, uri::Scheme,
};

use super::{host, page::Page};

/// Longer methods are not implemented (RFC 9112 section 3). The longest registered one has 17 bytes.
const MAX_METHOD: usize = 32;

/// Longer targets are refused; RFC 9112 section 3 recommends to support at least 8000 bytes.
const MAX_TARGET: usize = 8 << 10;

const fn bad_request(text: &'static str) -> Page {
    Page::new(StatusCode::BAD_REQUEST, text)
}

/// Refuses a request head that a server must not act on, and puts the authority of an absolute target
/// into `Host`, where it belongs.
pub(super) fn check(head: &mut Parts) -> Result<(), Page> {
    check_method(&head.method)?;
    check_target(&head.method, &head.uri)?;
    check_host(&head.headers, head.version)?;
    check_transfer_encoding(&head.headers)?;
    check_expect(&head.headers)?;
    replace_host(head)
}

fn check_method(method: &Method) -> Result<(), Page> {
    // A server without tunnels does not implement CONNECT for any resource, which is 501 rather than 405
    // (RFC 9110 sections 9.1 and 9.3.6).
    if method == Method::CONNECT {
        return Err(Page::new(
            StatusCode::NOT_IMPLEMENTED,
            "this server opens no tunnels",
        ));
    }
    if method.as_str().len() > MAX_METHOD {
        return Err(Page::new(
            StatusCode::NOT_IMPLEMENTED,
            "the method is not known",
        ));
    }
    Ok(())
}

/// RFC 9112 section 3.2: origin-form, absolute-form, or `*` for OPTIONS.
fn check_target(method: &Method, target: &Uri) -> Result<(), Page> {
    let path = target
        .path_and_query()
        .map_or("", http::uri::PathAndQuery::as_str);
    let authority = target.authority().map_or("", http::uri::Authority::as_str);
    if path.len() + authority.len() > MAX_TARGET {
        return Err(Page::new(
            StatusCode::URI_TOO_LONG,
            "the target is longer than 8 KiB",
        ));
    }
    // http::Uri accepts UTF-8, which a target has percent-encoded only.
    if !path.is_ascii() {
        return Err(bad_request("the target must be ASCII"));
    }
    match target.scheme() {
        None if !authority.is_empty() => Err(bad_request(
            "the target must begin with a slash or with http://",
        )),
        None if path == "*" && method != Method::OPTIONS => {
            Err(bad_request("the target * is for OPTIONS only"))
        }
        None if path == "*" || path.starts_with('/') => Ok(()),
        None => Err(bad_request("the target must begin with a slash")),
        Some(scheme) if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS => Err(bad_request(
            "the scheme of the target must be http or https",
        )),
        Some(_) if authority.contains('@') => {
            Err(bad_request("the target must not hold a user name"))
        }
        Some(_) if !host::is_valid(authority.as_bytes()) => {
            Err(bad_request("the host in the target is not valid"))
        }
        Some(_) => Ok(()),
    }
}

/// RFC 9112 section 3.2: one valid `Host`, which HTTP/1.0 may leave out.
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Page> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(bad_request("the Host field is missing")),
        (Some(host), None) if host::is_valid(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(bad_request("the Host field is not valid")),
        (Some(_), Some(_)) => Err(bad_request("there is more than one Host field")),
    }
}

/// hyper decodes the last coding only, so that any before it would be left in the body.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Page> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Page::new(
            StatusCode::NOT_IMPLEMENTED,
            "the only transfer coding known is chunked",
        )),
    }
}

/// RFC 9110 section 10.1.1: `100-continue` is the only expectation there is.
fn check_expect(headers: &HeaderMap) -> Result<(), Page> {
    let known = headers
        .get_all(header::EXPECT)
        .iter()
        .all(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if known {
        Ok(())
    } else {
        Err(Page::new(
            StatusCode::EXPECTATION_FAILED,
            "the only expectation known is 100-continue",
        ))
    }
}

/// RFC 9112 section 3.2.2: the authority of an absolute target replaces the `Host` field.
fn replace_host(head: &mut Parts) -> Result<(), Page> {
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| bad_request("the host in the target is not valid"))?;
    head.headers.insert(header::HOST, host);
    Ok(())
}
