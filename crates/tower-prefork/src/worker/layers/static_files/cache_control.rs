//! How long a client may keep a file: [`CacheControl`].

use std::time::Duration;

use http::HeaderValue;

/// A year: a file whose name has a hash of its content never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Digits of the hash in a name of Django's `ManifestStaticFilesStorage`.
const HASH_LENGTH: usize = 12;

/// The `Cache-Control` fields of one server's files.
#[derive(Clone, Debug)]
pub(super) struct CacheControl {
    immutable: HeaderValue,
    usual: HeaderValue,
}

impl CacheControl {
    pub(super) fn new(max_age: Duration) -> Self {
        let usual = format!("public, max-age={}", max_age.as_secs());
        Self {
            immutable: HeaderValue::from_static(IMMUTABLE),
            usual: HeaderValue::try_from(usual).expect("a number is a valid field value"),
        }
    }

    /// For a file of this path.
    pub(super) fn of(&self, path: &str) -> HeaderValue {
        match has_hash(path) {
            true => self.immutable.clone(),
            false => self.usual.clone(),
        }
    }
}

/// Whether a name is one of Django's `ManifestStaticFilesStorage`, such as `base.1f418065fc2c.css`: the hash stands before
/// the extension.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut parts = name.rsplit('.');
    let (_extension, hash) = (parts.next(), parts.next());
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hash = |hash: &str| hash.len() == HASH_LENGTH && hash.bytes().all(is_digit);
    // Something stands before it.
    hash.is_some_and(is_hash) && parts.next().is_some_and(|stem| !stem.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_hash_never_changes() {
        let cache_control = CacheControl::new(Duration::from_millis(1500));
        for path in [
            "/base.1f418065fc2c.css",
            "/a/b.min.0123456789ab.js",
            "/.a.0123456789ab.x",
        ] {
            assert_eq!(cache_control.of(path), IMMUTABLE, "{path}");
        }
        for path in [
            "/base.css",
            "/base.1f418065fc2c",
            "/1f418065fc2c.css",
            "/.1f418065fc2c.css",
            "/base.1F418065FC2C.css",
            "/base.1f418065fc2.css",
            "/base.1f418065fc2cd.css",
            "/base.1f418065fc2g.css",
            "/base.1f418065fc2c.css/a",
            "/",
        ] {
            assert_eq!(cache_control.of(path), "public, max-age=1", "{path}");
        }
    }
}
