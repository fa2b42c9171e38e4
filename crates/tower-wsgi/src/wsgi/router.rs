//! What an axum `Router` knows of a request: the address of its client, its target before a router changed it, and the
//! path at which a nested service is mounted.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, NestedPath, OriginalUri};
use http::{Extensions, Uri, request::Parts};
use percent_encoding::percent_decode_str;

use super::environ::strip_prefix;

/// The client's address, from `Router::into_make_service_with_connect_info::<SocketAddr>()`.
pub(super) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(*peer)
}

/// The URI of the request as it came to the outermost router.
pub(super) fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    let OriginalUri(uri) = extensions.get::<OriginalUri>()?;
    Some(uri)
}

/// `SCRIPT_NAME` and `PATH_INFO` of a request to a service that is nested in a router, which has removed the prefix
/// from the path.
#[derive(Debug)]
pub(super) struct Nested {
    pub(super) script_name: Vec<u8>,
    pub(super) path_info: Vec<u8>,
}

impl Nested {
    /// `None` if the service is not nested. `script_name` is the service's own.
    pub(super) fn new(parts: &Parts, script_name: &str) -> Option<Box<Self>> {
        let nested = parts.extensions.get::<NestedPath>()?.as_str();
        let path = parts.uri.path();
        let original = original_uri(&parts.extensions).map(Uri::path);
        let split = original.and_then(|original| split(original, nested));
        let (prefix, path) = match split {
            Some((prefix, rest)) if is_stripped(rest, path) => (prefix, rest),
            Some((prefix, _)) => (prefix, path),
            // A layer in front of the router has rewritten the path: the route says what the router has removed.
            None => (nested.trim_end_matches('/'), path),
        };
        let prefix: Vec<u8> = percent_decode_str(prefix).collect();
        let path: Vec<u8> = percent_decode_str(path).collect();
        let script_name = script_name.as_bytes();
        let (script_name, path_info) = if prefix.ends_with(script_name) {
            (prefix, path)
        } else if !prefix.is_empty() && script_name.ends_with(&prefix) {
            (script_name.to_vec(), path)
        } else {
            let path = strip_prefix(&path, script_name).map_or(path.clone(), <[u8]>::to_vec);
            ([&prefix, script_name].concat(), path)
        };
        Some(Box::new(Self {
            script_name,
            path_info,
        }))
    }
}

/// A path as the prefix that matches the route of a nested service, such as `/{tenant}/shop`, and the rest.
fn split<'a>(path: &'a str, route: &str) -> Option<(&'a str, &'a str)> {
    let mut length = 0;
    let mut segments = path.split('/').skip(1);
    for expected in route.trim_end_matches('/').split('/').skip(1) {
        let segment = segments.next()?;
        let is_capture = expected.starts_with('{') && expected.ends_with('}');
        if segment != expected && !is_capture {
            return None;
        }
        length += 1 + segment.len();
    }
    Some(path.split_at(length))
}

/// Whether `path` is what a router makes of the `rest`: it removes a slash, and adds one where there is none then.
fn is_stripped(rest: &str, path: &str) -> bool {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    path == rest || path.strip_prefix('/') == Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_as_many_segments_as_the_route() {
        for (path, route, parts) in [
            ("/m/a", "/m", Some(("/m", "/a"))),
            ("/m", "/m", Some(("/m", ""))),
            ("/m/", "/m", Some(("/m", "/"))),
            ("/m//a", "/m", Some(("/m", "//a"))),
            ("/m/a", "/m/", Some(("/m", "/a"))),
            ("/m/n/a", "/m/n", Some(("/m/n", "/a"))),
            ("/acme/m/a", "/{tenant}/m", Some(("/acme/m", "/a"))),
            ("/a%20b/c", "/a%20b", Some(("/a%20b", "/c"))),
            ("/a", "/", Some(("", "/a"))),
            ("/mm/a", "/m", None),
            ("/m", "/m/n", None),
            ("*", "/m", None),
        ] {
            assert_eq!(split(path, route), parts, "{path} {route}");
        }
    }
}
