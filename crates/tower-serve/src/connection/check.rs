//! What HTTP asks a server to refuse, and hyper does not.

use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header, uri::Scheme,
};

use super::{host, page::Page, refusal::character};

/// Longer methods are not implemented (RFC 9112 section 3). The longest registered one has 17 bytes.
const MAX_METHOD: usize = 32;

/// Longer targets are refused; RFC 9112 section 3 recommends to support at least 8000 bytes.
const MAX_TARGET: usize = 8 << 10;

const UNKNOWN_CODING: Page = Page::new(
    StatusCode::NOT_IMPLEMENTED,
    "the only transfer coding known is chunked",
);

const fn bad_request(text: &'static str) -> Page {
    Page::bad_request(text)
}

/// Refuses a request that a server must not act on, and puts the authority of an absolute target into
/// `Host`, where it belongs.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), Page> {
    check_method(request.method())?;
    check_target(request.method(), request.uri())?;
    check_fields(request.headers(), request.version())?;
    replace_host(request)
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
    // http::Uri accepts UTF-8, which a target has percent-encoded only, and some others in the path or in the query.
    if let Some(page) = character(path.as_bytes()) {
        return Err(page);
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
        // A user name, too, makes it invalid.
        Some(_) if !host::is_valid(authority.as_bytes()) => {
            Err(bad_request("the host in the target is not valid"))
        }
        Some(_) => Ok(()),
    }
}

/// Looks at every field once: three searches in the map would cost more.
fn check_fields(headers: &HeaderMap, version: Version) -> Result<(), Page> {
    let mut host = None;
    let mut coding = None;
    for (name, value) in headers {
        if *name == header::HOST {
            if host.replace(value).is_some() {
                return Err(bad_request("there is more than one Host field"));
            }
        } else if *name == header::TRANSFER_ENCODING {
            if coding.replace(value).is_some() {
                return Err(UNKNOWN_CODING);
            }
        } else if *name == header::EXPECT {
            check_expect(value)?;
        }
    }
    check_host(host, version)?;
    check_content_type(headers)?;
    check_transfer_encoding(coding)
}

/// Two that are the same are one.
fn check_content_type(headers: &HeaderMap) -> Result<(), Page> {
    // No field comes twice, as a rule.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next();
    if values.any(|value| Some(value) != first) {
        return Err(bad_request("there are two different Content-Type fields"));
    }
    Ok(())
}

/// RFC 9112 section 3.2: one valid `Host`, which HTTP/1.0 may leave out. It is empty where a target has no authority.
fn check_host(host: Option<&HeaderValue>, version: Version) -> Result<(), Page> {
    match host {
        Some(host) if host.is_empty() || host::is_valid(host.as_bytes()) => Ok(()),
        Some(_) => Err(bad_request("the Host field is not valid")),
        None if version == Version::HTTP_10 => Ok(()),
        None => Err(bad_request("the Host field is missing")),
    }
}

/// hyper decodes the last coding only, so that any before it would be left in the body.
fn check_transfer_encoding(coding: Option<&HeaderValue>) -> Result<(), Page> {
    match coding {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Err(UNKNOWN_CODING),
        _ => Ok(()),
    }
}

/// RFC 9110 section 10.1.1: `100-continue` is the only expectation there is.
fn check_expect(expect: &HeaderValue) -> Result<(), Page> {
    if expect.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        Ok(())
    } else {
        Err(Page::new(
            StatusCode::EXPECTATION_FAILED,
            "the only expectation known is 100-continue",
        ))
    }
}

/// RFC 9112 section 3.2.2: the authority of an absolute target replaces the `Host` field.
fn replace_host<B>(request: &mut Request<B>) -> Result<(), Page> {
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| bad_request("the host in the target is not valid"))?;
    request.headers_mut().insert(header::HOST, host);
    Ok(())
}
