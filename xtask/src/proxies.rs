//! The proxies that tests put in front of a server.

use std::env;
use std::path::Path;

use crate::command::{Failure, is_installed};
use crate::debian::AptGet;

/// Programs, which Debian's packages are named after.
const NAMES: [&str; 2] = ["haproxy", "nginx"];

/// Installs those that are not there, with the right to. Without one its tests are skipped, and say so; where the
/// variable CI is `true`, they fail.
pub(crate) fn set_up() -> Result<(), Failure> {
    let missing: Vec<_> = NAMES
        .into_iter()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" and ");
    match AptGet::available() {
        Some(apt_get) if !would_serve() => {
            println!("No {names} to test with.");
            apt_get.install(&missing)
        }
        _ => {
            println!("No {names}: tests are skipped.");
            Ok(())
        }
    }
}

/// Whether Debian would start what it installs, on port 80: nothing to do to somebody's machine.
fn would_serve() -> bool {
    let is_ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    Path::new("/run/systemd/system").exists() && !is_ci
}
