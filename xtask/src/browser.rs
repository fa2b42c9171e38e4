//! The browser of the Python tests.

use crate::command::{Failure, is_installed};
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
