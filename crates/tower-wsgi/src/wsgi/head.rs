//! The status line and the header fields that an application gives, checked once and for all.

use std::{error::Error, fmt};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use hyper::ext::ReasonPhrase;

/// Fields that are between the server and the client alone (RFC 9110 section 7.6.1, and PEP 3333
/// "Other HTTP Features").
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    HeaderName::from_static("trailers"),
    TRANSFER_ENCODING,
    UPGRADE,
];

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
    pub(super) fn parse<K, V>(
        status: &[u8],
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, StartError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let (status, reason) = parse_status(status)?;
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

    /// Says how long the body would be that a response to `HEAD` does not have.
    pub(super) fn announce(&mut self, length: u64) {
        if self.content_length.is_none() && self.allows_body() {
            self.headers.insert(CONTENT_LENGTH, length.into());
        }
    }

    /// Whether a response with this status may have a body (RFC 9110 section 6.4.1).
    pub(super) fn allows_body(&self) -> bool {
        ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&self.status)
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
        if HOP_BY_HOP.contains(&field) {
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
fn parse_status(status: &[u8]) -> Result<(StatusCode, Option<ReasonPhrase>), StartError> {
    let error = || StartError::Status(lossy(status));
    let (code, rest) = status.split_at_checked(3).ok_or_else(error)?;
    let code = StatusCode::from_bytes(code).map_err(|_| error())?;
    let Some((b' ', reason)) = rest.split_first() else {
        return Err(error());
    };
    if code.is_informational() {
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
    /// It was called before, and not because of an error.
    CalledTwice,
}

/// What is wrong with a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Its name is empty, or has a character that no name has (RFC 9110 section 5.1).
    Name,
    /// Its value has a control character: a line break would be the start of another field.
    Value,
    /// It is between the server and the client alone (RFC 9110 section 7.6.1).
    HopByHop,
    /// A `Content-Length` that is no number.
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
