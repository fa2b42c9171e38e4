//! The causes for which the server responds in place of the service, each with its status and its sentence.

use std::time::Duration;

use http::StatusCode;
use tower_server_info::ServerResponse;

/// When a client may try again for which there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why the server responds in place of the service. To add a cause, add a variant and its row in
/// [`parts`](Self::parts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    // The request head as a whole.
    /// It did not arrive in time.
    HeadTimeout,
    /// It is not HTTP.
    Malformed,
    LargeHead,
    /// It came on a port for TLS without TLS.
    #[cfg(feature = "tls")]
    NoTls,
    /// It came with HTTP/1.1 to a server that speaks HTTP/2 only.
    NotHttp2,
    /// It follows a request whose end is uncertain.
    UncertainStart,

    // The method.
    Connect,
    LongMethod,

    // The target.
    MalformedTarget,
    LongTarget,
    /// It has an octet that has to be percent-encoded: see [`invalid_octet`].
    TargetOctet(u8),
    Fragment,
    AuthorityTarget,
    AsteriskTarget,
    RelativeTarget,
    TargetScheme,
    TargetHost,

    // The fields.
    NoHost,
    SeveralHosts,
    InvalidHost,
    /// It is not the `:authority` of HTTP/2.
    DifferentHost,
    SeveralContentTypes,
    TransferCoding,
    Expectation,

    /// The worker has its `max_upgraded`.
    TooManyUpgraded,

    // The request body.
    BodyTimeout,
    MalformedBody,

    // The service.
    ServiceTimeout,
    ServiceFailed,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        self.parts().0
    }

    pub(super) const fn message(self) -> &'static str {
        self.parts().1
    }

    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::HeadTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "The request head did not arrive in time.",
            ),
            Self::Malformed => (StatusCode::BAD_REQUEST, "The request is malformed."),
            Self::LargeHead => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request head is too large or has too many fields.",
            ),
            #[cfg(feature = "tls")]
            Self::NoTls => (
                StatusCode::BAD_REQUEST,
                "This port requires HTTPS, and the request came without TLS.",
            ),
            Self::NotHttp2 => (
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "This server speaks HTTP/2 only.",
            ),
            Self::UncertainStart => (
                StatusCode::BAD_REQUEST,
                "The end of the request before this one is uncertain; send this one again on a new connection.",
            ),
            // A server without tunnels does not implement CONNECT for any resource, which is 501 rather than 405
            // (RFC 9110 sections 9.1 and 9.3.6).
            Self::Connect => (
                StatusCode::NOT_IMPLEMENTED,
                "This server does not support CONNECT.",
            ),
            Self::LongMethod => (StatusCode::NOT_IMPLEMENTED, "The method is not known."),
            Self::MalformedTarget => (StatusCode::BAD_REQUEST, "The target is not valid."),
            Self::LongTarget => (StatusCode::URI_TOO_LONG, "The target is longer than 8 KiB."),
            Self::TargetOctet(octet) => (
                StatusCode::BAD_REQUEST,
                match invalid_octet(octet) {
                    Some(message) => message,
                    None => "The target is not valid.",
                },
            ),
            Self::Fragment => (
                StatusCode::BAD_REQUEST,
                "The target must not have a fragment; # in it is percent-encoded as %23.",
            ),
            Self::AuthorityTarget => (
                StatusCode::BAD_REQUEST,
                "The target must begin with a slash or with http://.",
            ),
            Self::AsteriskTarget => (StatusCode::BAD_REQUEST, "The target * is for OPTIONS only."),
            Self::RelativeTarget => (
                StatusCode::BAD_REQUEST,
                "The target must begin with a slash.",
            ),
            Self::TargetScheme => (
                StatusCode::BAD_REQUEST,
                "The scheme of the target must be http or https.",
            ),
            Self::TargetHost => (
                StatusCode::BAD_REQUEST,
                "The host in the target is not valid.",
            ),
            Self::NoHost => (StatusCode::BAD_REQUEST, "The Host field is missing."),
            Self::SeveralHosts => (
                StatusCode::BAD_REQUEST,
                "There is more than one Host field.",
            ),
            Self::InvalidHost => (StatusCode::BAD_REQUEST, "The Host field is not valid."),
            Self::DifferentHost => (
                StatusCode::BAD_REQUEST,
                "The Host field differs from the :authority of the request.",
            ),
            Self::SeveralContentTypes => (
                StatusCode::BAD_REQUEST,
                "There are two different Content-Type fields.",
            ),
            Self::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "The only transfer coding supported is chunked.",
            ),
            Self::Expectation => (
                StatusCode::EXPECTATION_FAILED,
                "The only expectation supported is 100-continue.",
            ),
            Self::TooManyUpgraded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The server has too many upgraded connections, such as WebSockets.",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "The request body did not arrive in time.",
            ),
            Self::MalformedBody => (
                StatusCode::BAD_REQUEST,
                "The request body is malformed or was cut off.",
            ),
            Self::ServiceTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "The application did not respond in time.",
            ),
            Self::ServiceFailed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server failed to handle the request.",
            ),
        }
    }

    /// The cause for which hyper has refused what was `sent`.
    pub(super) fn of_parse_error(error: &hyper::Error, sent: &[u8]) -> Self {
        // Nothing but its text says what was wrong.
        let of_target = error.to_string().contains("URI");
        if error.is_parse_too_large() {
            return if of_target {
                Self::LongTarget
            } else {
                Self::LargeHead
            };
        }
        if of_target {
            let target = target(sent).and_then(Self::of_target);
            return target.unwrap_or(Self::MalformedTarget);
        }
        Self::Malformed
    }

    /// The first octet of a path or a query that a client has to percent-encode (RFC 3986 section 2). Others that the
    /// grammar does not have, such as `{` and `|`, are accepted: too many clients send them.
    pub(super) fn of_target(target: &[u8]) -> Option<Self> {
        // Each byte of each request passes here: a table costs less than the cases.
        if !target
            .iter()
            .fold(false, |any, byte| any | INVALID[usize::from(*byte)])
        {
            return None;
        }
        let octet = target.iter().find(|byte| INVALID[usize::from(**byte)])?;
        Some(Self::TargetOctet(*octet))
    }
}

impl From<Refusal> for ServerResponse {
    fn from(refusal: Refusal) -> Self {
        let response = Self::new(refusal.status(), refusal.message());
        match refusal {
            Refusal::TooManyUpgraded => response.retry_after(RETRY_AFTER),
            _ => response,
        }
    }
}

/// The status that hyper responds with to a request that it cannot parse, if it does.
pub(super) fn status_of(error: &hyper::Error) -> Option<StatusCode> {
    let responds = error.is_parse() && !error.is_parse_version_h2();
    responds.then(|| Refusal::of_parse_error(error, b"").status())
}

/// The target in the request line.
fn target(sent: &[u8]) -> Option<&[u8]> {
    let line = sent
        .trim_ascii_start()
        .split(|byte| *byte == b'\n')
        .next()?;
    line.split(|byte| *byte == b' ').nth(1)
}

const INVALID: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = invalid_octet(byte as u8).is_some();
        byte += 1;
    }
    table
};

const fn invalid_octet(octet: u8) -> Option<&'static str> {
    match octet {
        b'"' => Some("The target has the character \"; it is percent-encoded as %22."),
        b'<' => Some("The target has the character <; it is percent-encoded as %3C."),
        b'>' => Some("The target has the character >; it is percent-encoded as %3E."),
        b'`' => Some("The target has the character `; it is percent-encoded as %60."),
        0..=0x20 | 0x7f => Some("The target has a control character."),
        0x80.. => Some("The target must be ASCII."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octet_that_must_be_encoded_is_named() {
        assert_eq!(Refusal::of_target(b"/{a}|b%20?c=[d]"), None);
        for (target, octet) in [
            (&b"/a\"b<"[..], b'"'),
            (b"/a\x00", 0),
            (b"/caf\xc3\xa9", 0xc3),
        ] {
            let refusal = Refusal::of_target(target).unwrap();
            assert_eq!(refusal, Refusal::TargetOctet(octet));
            assert_eq!(refusal.status(), 400);
            assert_eq!(Some(refusal.message()), invalid_octet(octet));
        }
    }
}
