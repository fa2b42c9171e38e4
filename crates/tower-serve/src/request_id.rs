//! Identifiers of requests, by which the lines of several logs are found together.

use http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use uuid::Uuid;

/// The field of the request, and of its response.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of an identifier.
const MAX_LENGTH: usize = 128;

/// Where the identifiers of a connection's requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestIds {
    /// The peer gives them, as it is trusted. Where it does not, the server does.
    OfPeer,
    Own,
}

impl RequestIds {
    /// Those of a connection.
    pub(crate) fn of(is_trusted: bool) -> Self {
        match is_trusted {
            true => Self::OfPeer,
            false => Self::Own,
        }
    }

    /// Sees to it that a request has an identifier, and returns it.
    pub(crate) fn identify(self, headers: &mut HeaderMap) -> HeaderValue {
        if self == Self::OfPeer
            && let Some(id) = single(headers)
        {
            return id.clone();
        }
        let id = new_id();
        headers.insert(X_REQUEST_ID, id.clone());
        id
    }
}

/// Adds the identifier of the request to its response, unless the service has.
pub(crate) fn add(id: HeaderValue, response: &mut HeaderMap) {
    if let Entry::Vacant(entry) = response.entry(X_REQUEST_ID) {
        entry.insert(id);
    }
}

/// The only identifier of a request, if it is valid.
fn single(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let id = values.next()?;
    let is_valid = |id: &[u8]| {
        (1..=MAX_LENGTH).contains(&id.len())
            && id
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte))
    };
    (values.next().is_none() && is_valid(id.as_bytes())).then_some(id)
}

/// A random UUID.
fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("digits and hyphens are valid")
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn identified(ids: RequestIds, sent: &[&[u8]]) -> (HeaderValue, Vec<HeaderValue>) {
        let mut headers = HeaderMap::new();
        for value in sent {
            let value = HeaderValue::from_bytes(value).unwrap();
            headers.append(X_REQUEST_ID, value);
        }
        let id = ids.identify(&mut headers);
        (id, headers.get_all(X_REQUEST_ID).iter().cloned().collect())
    }

    #[test]
    fn that_of_a_trusted_peer_is_kept_if_it_is_valid() {
        let longest = [b'x'; MAX_LENGTH];
        for id in [&b"a"[..], b"0aZ-_.:/+=@~", &longest] {
            assert_eq!(identified(RequestIds::OfPeer, &[id]).0, id);
        }
        let too_long = [b'x'; MAX_LENGTH + 1];
        let invalid: [&[&[u8]]; 9] = [
            &[],
            &[b""],
            &[b"a b"],
            &[b"a,b"],
            &[b"a\"b"],
            &[b"a\\b"],
            &[b"\xff"],
            &[&too_long],
            &[b"a", b"a"],
        ];
        for sent in invalid {
            let (id, headers) = identified(RequestIds::OfPeer, sent);
            assert_eq!(headers, slice::from_ref(&id));
            assert_eq!(id.len(), 36, "{id:?}");
        }
    }

    #[test]
    fn that_of_any_other_peer_is_replaced() {
        let (first, headers) = identified(RequestIds::Own, &[b"a", b"b"]);
        assert_eq!(headers, slice::from_ref(&first));
        assert_ne!(first, "a");
        let (second, _) = identified(RequestIds::Own, &[]);
        assert_ne!(first, second);
    }
}
