//! The content types that are compressed.

use crate::settings::{Field, Value};

/// Text in the forms that browsers load, and WebAssembly.
const DEFAULTS: [&str; 11] = [
    "text/*",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/rss+xml",
    "application/wasm",
    "application/xhtml+xml",
    "application/xml",
    "image/svg+xml",
];

pub(super) fn defaults() -> Vec<String> {
    DEFAULTS.map(String::from).into()
}

/// Checks a list of types. The error is a sentence for the operator.
pub(super) fn check(value: &Value) -> Result<(), String> {
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    for name in Vec::<String>::from_value(value.clone())? {
        let parts = name.split_once('/');
        if !parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
            return Err(format!(
                "{name:?} is no content type; choose one such as \"text/html\" or \"text/*\""
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, settings::Settings};

    #[test]
    fn a_content_type_has_two_parts() {
        let is_valid = |name: &str| {
            let config = Config {
                compress_types: vec![name.into()],
                ..Config::default()
            };
            config.check().is_ok()
        };
        for name in DEFAULTS.into_iter().chain(["text/html"]) {
            assert!(is_valid(name), "{name}");
        }
        for name in ["text", "/html", "text/", "a /b"] {
            assert!(!is_valid(name), "{name}");
        }
    }

    #[test]
    fn the_usual_types_are_no_value() {
        let setting = Config::find("compress_types").unwrap();
        let mut config = Config::default();
        assert_eq!((setting.get)(&config), None);
        (setting.set)(&mut config, setting.parse("a/b,c/*").unwrap()).unwrap();
        assert_eq!(config.compress_types, ["a/b", "c/*"]);
        assert!((setting.get)(&config).is_some());
    }
}
