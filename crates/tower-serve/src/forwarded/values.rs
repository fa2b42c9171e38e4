//! The values of the single fields: a scheme, a host with its port, a prefix.

use http::Uri;

use super::node::number;
use crate::host;

/// As long as a name of the DNS and a port can be.
const MAX_HOST: usize = 261;

const MAX_PREFIX: usize = 1024;

/// Whether it is that of HTTPS. `None` for any other scheme.
pub(super) fn https(scheme: &[u8]) -> Option<bool> {
    let is = |known: &[u8]| scheme.eq_ignore_ascii_case(known);
    if is(b"https") || is(b"wss") {
        Some(true)
    } else if is(b"http") || is(b"ws") {
        Some(false)
    } else {
        None
    }
}

/// A host, with or without a port.
pub(super) fn host(host: &[u8]) -> Option<&str> {
    // A name of the generic syntax may have characters that mean something in a page or in a URL.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    let is_host = host.len() <= MAX_HOST && host.iter().all(is_plain) && host::is_valid(host);
    str::from_utf8(host).ok().filter(|_| is_host)
}

/// The host with this port, which is left out if it is the default.
pub(super) fn with_port(host: &str, port: &[u8], https: bool) -> Option<String> {
    let port = number(str::from_utf8(port).ok()?).filter(|port| *port != 0)?;
    let name = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    };
    Some(match (port, https) {
        (443, true) | (80, false) => name.to_owned(),
        _ => format!("{name}:{port}"),
    })
}

/// A prefix without its last slash; an empty one is none.
///
/// It may not begin like a URL without a scheme (`//host`), nor leave itself: applications redirect to it.
pub(super) fn prefix(prefix: &[u8]) -> Option<&str> {
    let prefix = str::from_utf8(prefix).ok()?;
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() || prefix.len() > MAX_PREFIX {
        return None;
    }
    let is_in_path =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    let segments = prefix.strip_prefix('/')?.split('/');
    let is_path = prefix.bytes().all(is_in_path)
        && prefix.parse::<Uri>().is_ok()
        && segments.into_iter().all(|segment| {
            // Browsers take the encoded ones for the same.
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            !matches!(&*plain, "" | "." | "..")
        });
    is_path.then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        assert_eq!(https(b"HTTPS"), Some(true));
        assert_eq!(https(b"wss"), Some(true));
        assert_eq!(https(b"http"), Some(false));
        assert_eq!(https(b"ws"), Some(false));
        for scheme in ["", "on", "https ", "ftp", "javascript"] {
            assert_eq!(https(scheme.as_bytes()), None, "{scheme}");
        }
    }

    #[test]
    fn hosts() {
        for name in ["a.example", "a_b.example:8443", "[::1]:80", "192.0.2.7"] {
            assert_eq!(host(name.as_bytes()), Some(name));
        }
        for name in [
            "", "a b", "user@a", "a/b", "a,b", "a;b", "a'b", "a:80:80", "a\"b", "%41",
        ] {
            assert_eq!(host(name.as_bytes()), None, "{name}");
        }
        assert_eq!(host(&[b'a'; MAX_HOST + 1]), None);
    }

    #[test]
    fn a_port_replaces_that_of_the_host() {
        for (host, port, https, result) in [
            ("a", "8443", true, Some("a:8443")),
            ("a:80", "443", true, Some("a")),
            ("a:8443", "80", false, Some("a")),
            ("a", "443", false, Some("a:443")),
            ("[::1]", "81", false, Some("[::1]:81")),
            ("[::1]:1", "81", false, Some("[::1]:81")),
            ("a", "0", false, None),
            ("a", "+1", false, None),
            ("a", "65536", false, None),
            ("a", "", false, None),
        ] {
            assert_eq!(
                with_port(host, port.as_bytes(), https).as_deref(),
                result,
                "{host} {port}"
            );
        }
    }

    #[test]
    fn prefixes() {
        for (text, result) in [
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/b%20c", "/a/b%20c"),
            ("/~a", "/~a"),
        ] {
            assert_eq!(prefix(text.as_bytes()), Some(result));
        }
        for text in [
            "",
            "/",
            "a",
            "//evil.example",
            "/a//b",
            "/a//",
            "/..",
            "/a/../b",
            "/.",
            "/%2e%2E/a",
            "/\\evil.example",
            "/a b",
            "/a?b",
            "/a#b",
            "http://evil.example/a",
            "/<a>",
        ] {
            assert_eq!(prefix(text.as_bytes()), None, "{text}");
        }
        let long = format!("/{}", "a".repeat(MAX_PREFIX));
        assert_eq!(prefix(long.as_bytes()), None);
    }
}
