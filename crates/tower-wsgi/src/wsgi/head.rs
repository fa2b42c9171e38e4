//! What `start_response` is called with, checked: the status, the header fields, and the length that they promise.

use std::{error::Error, fmt};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, UPGRADE},
};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;

/// The fields that concern only the connection between the server and the client (RFC 9110 section 7.6.1, and PEP 3333 "Other HTTP
/// Features"), in lower case.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// A bit for each length of such a name.
const LENGTHS: u32 = {
    let mut lengths = 0;
    let mut index = 0;
    while index < HOP_BY_HOP.len() {
        lengths |= 1 << HOP_BY_HOP[index].len();
        index += 1;
    }
    lengths
};

/// The name in lower case of a hop-by-hop field, which [`start`](super::StartResponse::start) refuses: for
/// a host of applications in another language that drops such fields instead.
#[must_use]
pub fn hop_by_hop(name: &[u8]) -> Option<&'static str> {
    // Nearly all names are of another length.
    if name.len() >= 32 || LENGTHS >> name.len() & 1 == 0 {
        return None;
    }
    let mut names = HOP_BY_HOP.into_iter();
    names.find(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

/// What `start_response` was called with.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Unless it is the usual one.
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) headers: HeaderMap,
    pub(super) content_length: Option<u64>,
}

impl Head {
    /// `may_switch` says that the connection may change its protocol.
    pub(super) fn parse<K, V>(
        status: &[u8],
        headers: impl IntoIterator<Item = (K, V)>,
        may_switch: bool,
    ) -> Result<Self, StartError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let (status, reason) = parse_status(status, may_switch)?;
        let mut head = Self {
            status,
            reason,
            headers: HeaderMap::new(),
            content_length: None,
        };
        for (name, value) in headers {
            head.append(name.as_ref(), value.as_ref())?;
        }
        Ok(head)
    }

    /// Adds the length that the body would have to a response to `HEAD`.
    pub(super) fn announce(&mut self, length: u64) {
        if self.content_length.is_none() && self.allows_body() {
            self.headers.insert(CONTENT_LENGTH, length.into());
        }
    }

    /// The bytes that the `Content-Length` allows the body.
    pub(super) fn budget(&self) -> ContentLengthBudget {
        ContentLengthBudget::new(self.content_length)
    }

    /// Whether a response with this status may have a body (RFC 9110 section 6.4.1).
    pub(super) fn allows_body(&self) -> bool {
        ![
            StatusCode::SWITCHING_PROTOCOLS,
            StatusCode::NO_CONTENT,
            StatusCode::NOT_MODIFIED,
        ]
        .contains(&self.status)
    }

    /// Whether a field that concerns only the connection belongs to this response.
    fn allows_hop_by_hop(&self, field: &HeaderName) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS && [CONNECTION, UPGRADE].contains(field)
    }

    pub(super) fn respond<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }

    fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), StartError> {
        let error = |problem| StartError::Header {
            name: lossy(name),
            problem,
        };
        let field = HeaderName::from_bytes(name).map_err(|_| error(Problem::Name))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| error(Problem::Value))?;
        if hop_by_hop(field.as_str().as_bytes()).is_some() && !self.allows_hop_by_hop(&field) {
            return Err(error(Problem::HopByHop));
        }
        if field == CONTENT_LENGTH {
            let length = parse_length(value.as_bytes()).ok_or_else(|| error(Problem::Length))?;
            if self.content_length.replace(length).is_some() {
                return Err(error(Problem::Twice));
            }
        }
        let added = self.headers.try_append(field, value);
        added.map(drop).map_err(|_| error(Problem::TooMany))
    }
}

/// `999 Message here`: three digits, a space, a reason that may be empty.
fn parse_status(
    status: &[u8],
    may_switch: bool,
) -> Result<(StatusCode, Option<ReasonPhrase>), StartError> {
    let error = || StartError::Status(lossy(status));
    let (code, rest) = status.split_at_checked(3).ok_or_else(error)?;
    let code = StatusCode::from_bytes(code).map_err(|_| error())?;
    let Some((b' ', reason)) = rest.split_first() else {
        return Err(error());
    };
    let switches = may_switch && code == StatusCode::SWITCHING_PROTOCOLS;
    if code.is_informational() && !switches {
        return Err(error());
    }
    if code.canonical_reason().map(str::as_bytes) == Some(reason) {
        return Ok((code, None));
    }
    let reason = ReasonPhrase::try_from(reason.to_vec()).map_err(|_| error())?;
    Ok((code, Some(reason)))
}

fn parse_length(value: &[u8]) -> Option<u64> {
    // `parse` alone would take a plus sign.
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits
        .then(|| str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes of a `Content-Length` that have yet to come; without one, any number may come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ContentLengthBudget(Option<u64>);

/// The end of a piece was cut off, because it is beyond the `Content-Length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truncated;

impl ContentLengthBudget {
    fn new(length: Option<u64>) -> Self {
        Self(length)
    }

    /// Counts a piece, and truncates it to what is left.
    pub(super) fn take(&mut self, piece: &mut Bytes) -> Option<Truncated> {
        let left = self.0.as_mut()?;
        let length = piece.len() as u64;
        if length <= *left {
            *left -= length;
            return None;
        }
        piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left = 0;
        Some(Truncated)
    }

    pub(super) fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// Whether all of it has come; `false` without a length.
    pub(super) fn is_complete(self) -> bool {
        self.0 == Some(0)
    }

    /// The body ends here. An error says that bytes are missing.
    pub(super) fn end(self) -> Result<(), String> {
        match self.0 {
            None | Some(0) => Ok(()),
            Some(left) => Err(format!(
                "the application gave {left} bytes less than its Content-Length says"
            )),
        }
    }

    pub(super) fn size_hint(self) -> SizeHint {
        self.0.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// Why `start_response` refuses what it is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The status is not three digits from 200 to 999, a space, and a reason without control
    /// characters.
    Status(String),
    /// A header field that cannot be sent.
    Header {
        /// The name of the field.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// It was called before, and the second call is not because of an error.
    CalledTwice,
}

/// What is wrong with a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Its name is empty, or has a character that is not allowed in a name (RFC 9110 section 5.1).
    Name,
    /// Its value has a control character. A line break would start another field.
    Value,
    /// It concerns the connection, which only the server controls (RFC 9110 section 7.6.1).
    HopByHop,
    /// A `Content-Length` that is not a number.
    Length,
    /// A second `Content-Length`.
    Twice,
    /// There are tens of thousands of fields before it.
    TooMany,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(
                f,
                "the status {status:?} is not three digits from 200 to 999, a space and a reason, as in \"200 OK\""
            ),
            Self::Header { name, problem } => {
                write!(f, "the header {name:?} ")?;
                f.write_str(match problem {
                    Problem::Name => "is no valid name for a header field",
                    Problem::Value => "has a line break or another control character in its value",
                    Problem::HopByHop => {
                        "is for the server alone to set: it is about this connection, not the response"
                    }
                    Problem::Length => "is no number",
                    Problem::Twice => "is given twice",
                    Problem::TooMany => "is one too many",
                })
            }
            Self::CalledTwice => f.write_str(
                "start_response was called before; only an error may replace the status and headers",
            ),
        }
    }
}

impl Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(status: &[u8], headers: &[(&str, &str)]) -> Result<Head, StartError> {
        Head::parse(status, headers.iter().copied(), false)
    }

    #[test]
    fn a_status_is_three_digits_a_space_and_a_reason() {
        type Good = (&'static [u8], u16, Option<&'static [u8]>);
        let good: [Good; 6] = [
            (b"200 OK", 200, None),
            (b"200 Fine", 200, Some(b"Fine")),
            (b"404 ", 404, Some(b"")),
            (b"299 My Reason", 299, Some(b"My Reason")),
            (b"999 Message here", 999, Some(b"Message here")),
            (b"200 \xe9t\xe9", 200, Some(b"\xe9t\xe9")),
        ];
        for (status, code, reason) in good {
            let head = parse(status, &[]).unwrap();
            assert_eq!(head.status.as_u16(), code);
            assert_eq!(head.reason.as_ref().map(AsRef::as_ref), reason);
        }
        let bad: [&[u8]; 16] = [
            b"",
            b"2",
            b"20 OK",
            b"200",
            b"200OK",
            b"2000 OK",
            b"200\tOK",
            b" 200 OK",
            b"099 No",
            b"100 Continue",
            b"199 No",
            b"abc OK",
            b"-20 OK",
            b"200 OK\r\n",
            b"200 O\nK",
            b"200 O\x00K",
        ];
        for status in bad {
            let error = parse(status, &[]).unwrap_err();
            assert!(matches!(error, StartError::Status(_)), "{status:?}");
            assert!(error.to_string().contains("as in \"200 OK\""), "{error}");
        }
    }

    #[test]
    fn fields_are_checked_and_kept_in_order() {
        let cookies = [
            ("Set-Cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("X-Y", "\tz "),
        ];
        let head = parse(b"200 OK", &cookies).unwrap();
        let values: Vec<_> = head.headers.get_all("set-cookie").iter().collect();
        assert_eq!(values, ["a=1", "b=2"]);
        let bytes = [(&b"x"[..], &b"\xe9"[..])];
        let head = Head::parse(b"200 OK", bytes, false).unwrap();
        assert_eq!(head.headers["x"].as_bytes(), b"\xe9");

        let bad = [
            ("", "x", Problem::Name),
            ("a b", "x", Problem::Name),
            ("a:", "x", Problem::Name),
            ("a\r\nb", "x", Problem::Name),
            ("\u{e9}", "x", Problem::Name),
            ("x", "a\r\nb: c", Problem::Value),
            ("x", "a\nb", Problem::Value),
            ("x", "a\0", Problem::Value),
            ("x", "a\x7f", Problem::Value),
            ("Connection", "close", Problem::HopByHop),
            ("keep-alive", "x", Problem::HopByHop),
            ("Proxy-Authenticate", "x", Problem::HopByHop),
            ("proxy-authorization", "x", Problem::HopByHop),
            ("proxy-connection", "x", Problem::HopByHop),
            ("TE", "trailers", Problem::HopByHop),
            ("Trailer", "x", Problem::HopByHop),
            ("trailers", "x", Problem::HopByHop),
            ("Transfer-Encoding", "chunked", Problem::HopByHop),
            ("upgrade", "x", Problem::HopByHop),
            ("Content-Length", "", Problem::Length),
            ("Content-Length", "+5", Problem::Length),
            ("Content-Length", "5 ", Problem::Length),
            ("Content-Length", "5, 5", Problem::Length),
            ("Content-Length", "0x5", Problem::Length),
            ("Content-Length", "18446744073709551616", Problem::Length),
        ];
        for (name, value, problem) in bad {
            let error = parse(b"200 OK", &[(name, value)]).unwrap_err();
            let name = name.to_owned();
            assert_eq!(error, StartError::Header { name, problem }, "{value:?}");
        }
    }

    #[test]
    fn there_is_one_length() {
        let head = parse(b"200 OK", &[("Content-Length", "007")]).unwrap();
        assert_eq!(head.content_length, Some(7));
        let twice = [("content-length", "5"), ("Content-Length", "5")];
        let error = parse(b"200 OK", &twice).unwrap_err();
        assert!(error.to_string().contains("given twice"), "{error}");
    }

    #[test]
    fn more_fields_than_can_be_kept_are_an_error() {
        let headers = (0..40_000).map(|n| (format!("x-{n}"), ""));
        let error = Head::parse(b"200 OK", headers, false).unwrap_err();
        assert!(error.to_string().contains("one too many"), "{error}");
    }

    #[test]
    fn a_response_to_head_says_how_long_it_would_be_unless_it_has_no_length() {
        let announced = |status: &[u8], headers: &[(&str, &str)]| {
            let mut head = parse(status, headers).unwrap();
            head.announce(5);
            let headers = head.respond(()).headers().clone();
            headers.get("content-length").cloned()
        };
        assert_eq!(announced(b"200 OK", &[]).unwrap(), "5");
        let own = [("content-length", "9")];
        assert_eq!(announced(b"200 OK", &own).unwrap(), "9");
        assert_eq!(announced(b"304 Not Modified", &[]), None);
        assert_eq!(announced(b"204 No Content", &[]), None);
    }

    #[test]
    fn pieces_are_counted_and_truncated() {
        let mut budget = ContentLengthBudget::new(Some(5));
        let mut piece = Bytes::from("abc");
        assert_eq!((budget.take(&mut piece), &*piece), (None, &b"abc"[..]));
        assert!(budget.end().unwrap_err().contains("2 bytes less"));
        let mut piece = Bytes::from("defg");
        let truncated = budget.take(&mut piece);
        assert_eq!((truncated, &*piece), (Some(Truncated), &b"de"[..]));
        assert!(budget.is_complete() && budget.end().is_ok());
    }

    #[test]
    fn without_a_length_nothing_is_truncated() {
        let mut budget = ContentLengthBudget::default();
        let mut piece = Bytes::from("abc");
        assert_eq!(budget.take(&mut piece), None);
        assert!(!budget.is_complete() && budget.end().is_ok());
    }
}
