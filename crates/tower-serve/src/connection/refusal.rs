//! The pages for requests that hyper refuses, and for those that it gives in another form.

use http::StatusCode;

use super::page::Page;

pub(super) const HEAD_TIMEOUT: Page = Page::new(
    StatusCode::REQUEST_TIMEOUT,
    "the request head did not arrive in time",
);

pub(super) const FRAGMENT: Page =
    Page::bad_request("the target must not have a fragment; # in it is percent-encoded as %23");

#[cfg(feature = "tls")]
pub(super) const NO_TLS: Page =
    Page::bad_request("this port speaks HTTPS, and the request came without TLS");

const MALFORMED: Page = Page::bad_request("the request is malformed");

const MALFORMED_TARGET: Page = Page::bad_request("the target is not valid");

const LONG_TARGET: Page = Page::new(StatusCode::URI_TOO_LONG, "the target is longer than 8 KiB");

const LARGE_HEAD: Page = Page::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request head is too large, or has too many fields",
);

/// For a request that hyper has refused: what was sent of it.
pub(super) fn page(error: &hyper::Error, sent: &[u8]) -> Page {
    match status_of(error) {
        Some(StatusCode::URI_TOO_LONG) => LONG_TARGET,
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => LARGE_HEAD,
        // Nothing but its text tells what was wrong.
        _ if error.to_string().contains("URI") => target(sent).map_or(MALFORMED_TARGET, |target| {
            character(target).unwrap_or(MALFORMED_TARGET)
        }),
        _ => MALFORMED,
    }
}

/// The status that hyper answers a malformed request with, if it does.
pub(super) fn status_of(error: &hyper::Error) -> Option<StatusCode> {
    if error.is_parse_too_large() {
        // Nothing but its text tells which of the two it is.
        let target = error.to_string().starts_with("URI");
        return Some(if target {
            StatusCode::URI_TOO_LONG
        } else {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        });
    }
    let answered = error.is_parse() && !error.is_parse_version_h2();
    answered.then_some(StatusCode::BAD_REQUEST)
}

fn target(sent: &[u8]) -> Option<&[u8]> {
    let line = sent
        .trim_ascii_start()
        .split(|byte| *byte == b'\n')
        .next()?;
    line.split(|byte| *byte == b' ').nth(1)
}

/// The page for the first character of a path or a query that a client has to percent-encode (RFC 3986 section 2). Others
/// that the grammar does not have, such as `{` and `|`, are let through: too many clients send them.
pub(super) fn character(target: &[u8]) -> Option<Page> {
    // Each byte of each request is looked at: a table costs less than the cases.
    if !target
        .iter()
        .fold(false, |any, byte| any | REFUSED[usize::from(*byte)])
    {
        return None;
    }
    let text = target.iter().find_map(|byte| refused(*byte))?;
    Some(Page::bad_request(text))
}

const REFUSED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = refused(byte as u8).is_some();
        byte += 1;
    }
    table
};

const fn refused(byte: u8) -> Option<&'static str> {
    match byte {
        b'"' => Some("the target has the character \"; it is percent-encoded as %22"),
        b'<' => Some("the target has the character <; it is percent-encoded as %3C"),
        b'>' => Some("the target has the character >; it is percent-encoded as %3E"),
        b'`' => Some("the target has the character `; it is percent-encoded as %60"),
        0..=0x20 | 0x7f => Some("the target has a control character"),
        0x80.. => Some("the target must be ASCII"),
        _ => None,
    }
}
