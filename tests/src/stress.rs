use std::env;

/// How much a stress test does: what the environment says, or else `default`, which makes a short run.
///
/// # Panics
///
/// When the environment says something else than a number.
#[must_use]
pub fn stress(variable: &str, default: usize) -> usize {
    let number = env::var(variable).map(|text| text.parse().expect("a number"));
    number.unwrap_or(default)
}
