//! The response head that a WebSocket library writes to its socket.

use std::fmt;

use http::{
    HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE},
};
use tower_wsgi::Body;

/// Maximum size of the head in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// Why a head is not sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidHead {
    NoSwitch,
    Field,
    NoAccept,
    TooLong,
    Incomplete,
}

impl fmt::Display for InvalidHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSwitch => {
                "what the application wrote to gunicorn.socket does not begin with HTTP/1.1 101; return any other \
                 response from the application"
            }
            Self::Field => {
                "the head that the application wrote to gunicorn.socket has an invalid header field"
            }
            Self::NoAccept => {
                "the head that the application wrote to gunicorn.socket has no field Sec-WebSocket-Accept"
            }
            Self::TooLong => {
                "the head that the application wrote to gunicorn.socket is longer than 16 KiB"
            }
            Self::Incomplete => {
                "the application closed gunicorn.socket in the middle of its response head"
            }
        })
    }
}

/// The length of a head that begins these bytes, if its end has arrived.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The response for a whole head.
pub(super) fn parse(head: &[u8]) -> Result<Response<Body>, InvalidHead> {
    let text = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().unwrap_or_default();
    if !matches!(status.strip_prefix(b"HTTP/1.1 101"), Some([] | [b' ', ..])) {
        return Err(InvalidHead::NoSwitch);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.version_mut() = Version::HTTP_11;
    let fields = response.headers_mut();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or(InvalidHead::Field)?);
        let name = HeaderName::from_bytes(name).map_err(|_| InvalidHead::Field)?;
        let value = value[1..].trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(|_| InvalidHead::Field)?;
        // A 101 has no body (RFC 9110 section 8.6).
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            fields.append(name, value);
        }
    }
    if !fields.contains_key(SEC_WEBSOCKET_ACCEPT) {
        return Err(InvalidHead::NoAccept);
    }
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found() {
        assert_eq!(head_length(b"HTTP/1.1 101\r\nA: b\r\n\r"), None);
        assert_eq!(head_length(b"HTTP/1.1 101\r\n\r\n\x81\x00"), Some(16));
    }

    #[test]
    fn a_101_passes_with_its_fields() {
        let head =
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Accept: x= \r\nSec-WebSocket-Protocol: chat\r\nContent-Length: 7\r\n\r\n";
        let response = parse(head).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let fields = response.headers();
        assert_eq!(fields["sec-websocket-accept"], "x=");
        assert_eq!(fields["sec-websocket-protocol"], "chat");
        assert_eq!(fields["upgrade"], "websocket");
        assert_eq!(fields.get_all("connection").iter().count(), 1);
        assert!(!fields.contains_key("content-length"));
        assert!(parse(b"HTTP/1.1 101\r\nSec-WebSocket-Accept: x\r\n\r\n").is_ok());
    }

    #[test]
    fn what_is_no_101_or_not_valid_is_refused() {
        for (head, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], InvalidHead::NoSwitch),
            (b"HTTP/1.1 1010\r\n\r\n", InvalidHead::NoSwitch),
            (b"\x81\x05hello\r\n\r\n", InvalidHead::NoSwitch),
            (b"HTTP/1.1 101 X\r\n\r\n", InvalidHead::NoAccept),
            (b"HTTP/1.1 101 X\r\nno colon\r\n\r\n", InvalidHead::Field),
            (b"HTTP/1.1 101 X\r\na b: c\r\n\r\n", InvalidHead::Field),
            (b"HTTP/1.1 101 X\r\n folded: c\r\n\r\n", InvalidHead::Field),
            (b"HTTP/1.1 101 X\r\na: b\x00c\r\n\r\n", InvalidHead::Field),
        ] {
            assert_eq!(parse(head).unwrap_err(), expected, "{head:?}");
        }
    }
}
