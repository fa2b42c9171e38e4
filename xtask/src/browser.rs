//! The browser of the Python tests.

use std::env;

use crate::command::Failure;
use crate::debian::AptGet;

/// As in `tests/browser.py` of the Python package.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs Debian's Chromium if there is no browser and the right to. Without one its test is skipped, and says so;
/// where the variable CI is `true`, it fails.
pub(crate) fn set_up() -> Result<(), Failure> {
    if NAMES.into_iter().any(is_installed) {
        return Ok(());
    }
    match AptGet::available() {
        Some(apt_get) => {
            println!("No browser to test with.");
            apt_get.install(&["chromium"])
        }
        None => Ok(()),
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-browser"));
    }
}
