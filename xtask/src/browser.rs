//! The browser of the Python tests.

use crate::command::{Failure, is_installed};
use crate::debian::AptGet;

/// As in `tests/browser.py` of the Python package.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Installs Debian's Chromium if there is no browser and it is allowed to. Without a browser the test is skipped with a
/// note; if the variable CI is `true`, it fails.
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
