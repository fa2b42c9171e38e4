//! What HTTP asks a server to refuse, and hyper does not.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header, uri::Scheme};

use super::{refusal::Refusal, server_response::RequestSummary};
use crate::host;

/// Longer methods are not implemented (RFC 9112 section 3). The longest registered one has 17 bytes.
const MAX_METHOD: usize = 32;

/// Longer targets are refused; RFC 9112 section 3 recommends to support at least 8000 bytes.
const MAX_TARGET: usize = 8 << 10;

/// Refuses a request that a server must not act on, and puts the authority of an absolute target into
/// `Host`, where it belongs. Gives what is kept of the request.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<RequestSummary, Refusal> {
    check_method(request.method())?;
    check_target(request.method(), request.uri())?;
    let accept = check_fields(request.headers(), request.version())?.cloned();
    replace_host(request)?;
    Ok(RequestSummary::with_accept(request, accept))
}

pub(super) fn check_method(method: &Method) -> Result<(), Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if method.as_str().len() > MAX_METHOD {
        return Err(Refusal::LongMethod);
    }
    Ok(())
}

/// RFC 9112 section 3.2: origin-form, absolute-form, or `*` for OPTIONS.
pub(super) fn check_target(method: &Method, target: &Uri) -> Result<(), Refusal> {
    let path = target
        .path_and_query()
        .map_or("", http::uri::PathAndQuery::as_str);
    let authority = target.authority().map_or("", http::uri::Authority::as_str);
    if path.len() + authority.len() > MAX_TARGET {
        return Err(Refusal::LongTarget);
    }
    // http::Uri accepts UTF-8, which a target has percent-encoded only, and some others in the path or in the query.
    if let Some(refusal) = Refusal::of_target(path.as_bytes()) {
        return Err(refusal);
    }
    match target.scheme() {
        _ if path == "*" && method != Method::OPTIONS => Err(Refusal::AsteriskTarget),
        None if !authority.is_empty() => Err(Refusal::AuthorityTarget),
        None if path == "*" || path.starts_with('/') => Ok(()),
        None => Err(Refusal::RelativeTarget),
        Some(scheme) if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS => {
            Err(Refusal::TargetScheme)
        }
        // A user name, too, makes it invalid.
        Some(_) if !host::is_valid(authority.as_bytes()) => Err(Refusal::TargetHost),
        Some(_) => Ok(()),
    }
}

/// Looks at every field once, as searches in the map would cost more. Gives the `Accept` field, which it passes by.
fn check_fields(headers: &HeaderMap, version: Version) -> Result<Option<&HeaderValue>, Refusal> {
    let mut host = None;
    let mut coding = None;
    let mut accept = None;
    for (name, value) in headers {
        if *name == header::HOST {
            if host.replace(value).is_some() {
                return Err(Refusal::SeveralHosts);
            }
        } else if *name == header::TRANSFER_ENCODING {
            if coding.replace(value).is_some() {
                return Err(Refusal::TransferCoding);
            }
        } else if *name == header::EXPECT {
            check_expect(value)?;
        } else if *name == header::ACCEPT {
            accept.get_or_insert(value);
        }
    }
    check_host(host, version)?;
    check_content_type(headers)?;
    check_transfer_encoding(coding)?;
    Ok(accept)
}

/// Two that are the same are one.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    // No field comes twice, as a rule.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next();
    if values.any(|value| Some(value) != first) {
        return Err(Refusal::SeveralContentTypes);
    }
    Ok(())
}

/// RFC 9112 section 3.2: one valid `Host`, which HTTP/1.0 may leave out. It is empty where a target has no authority.
pub(super) fn check_host(host: Option<&HeaderValue>, version: Version) -> Result<(), Refusal> {
    match host {
        Some(host) if host.is_empty() || host::is_valid(host.as_bytes()) => Ok(()),
        Some(_) => Err(Refusal::InvalidHost),
        None if version == Version::HTTP_10 => Ok(()),
        None => Err(Refusal::NoHost),
    }
}

/// hyper decodes the last coding only, so that any before it would be left in the body.
fn check_transfer_encoding(coding: Option<&HeaderValue>) -> Result<(), Refusal> {
    match coding {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Err(Refusal::TransferCoding)
        }
        _ => Ok(()),
    }
}

/// RFC 9110 section 10.1.1: `100-continue` is the only expectation there is.
pub(super) fn check_expect(expect: &HeaderValue) -> Result<(), Refusal> {
    if expect.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        Ok(())
    } else {
        Err(Refusal::Expectation)
    }
}

/// RFC 9112 section 3.2.2: the authority of an absolute target replaces the `Host` field.
pub(super) fn replace_host<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::TargetHost)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(())
}
