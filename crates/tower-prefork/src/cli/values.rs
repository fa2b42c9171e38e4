use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// Parses a time in seconds, as in `30` or `0.5`: a clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is no number, or one that is negative or too large.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected seconds, as in 30 or 0.5".to_owned())
}

pub(crate) fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
