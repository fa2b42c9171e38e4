use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Parses a duration: seconds, as in `30` or `0.5`, or a number with a unit, as in `500ms`, `30s`, `5m` or
/// `1h`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is nothing of this kind, or too large.
pub fn seconds(text: &str) -> Result<Duration, String> {
    config::duration(text)
}

/// Parses a size: bytes, as in `1048576`, or a number with a unit, as in `16K`, `10M` or `2G`, which are powers
/// of 1024. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is nothing of this kind, or too large.
pub fn size(text: &str) -> Result<u64, String> {
    config::size(text)
}

/// Parses permissions in octal, as in `027` or `660`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is no octal number.
pub fn mode(text: &str) -> Result<u32, String> {
    config::mode(text)
}

pub(crate) fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
