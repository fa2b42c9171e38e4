//! Installs the programs that tests use: proxies, clients, a database, a service manager, load generators.

use std::env;
use std::fs;
use std::path::Path;

use crate::command::{Failure, is_installed};
use crate::debian::AptGet;

/// Each program with its Debian package.
const PROGRAMS: [(&str, &str); 8] = [
    ("curl", "curl"),
    ("h2load", "nghttp2-client"),
    ("haproxy", "haproxy"),
    ("nginx", "nginx"),
    ("openssl", "openssl"),
    ("postgres", "postgresql"),
    ("systemd-analyze", "systemd"),
    ("wrk", "wrk"),
];

/// Installs missing programs, if it is allowed to. Without a program its tests are skipped with a note; if the variable
/// CI is `true`, they fail.
pub(crate) fn set_up() -> Result<(), Failure> {
    let is_missing = |name| !is_installed(name) && !is_below_postgresql(name);
    let missing = PROGRAMS.into_iter().filter(|(name, _)| is_missing(name));
    let (names, packages): (Vec<_>, Vec<_>) = missing.unzip();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(" and ");
    match AptGet::available() {
        Some(apt_get) if !would_serve() => {
            println!("No {names} to test with.");
            apt_get.install(&packages)
        }
        _ => {
            println!("No {names}: tests are skipped.");
            Ok(())
        }
    }
}

/// Whether the program is in a directory of Debian's package `postgresql`: one for each version, and none in PATH.
fn is_below_postgresql(program: &str) -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let mut files = versions.map(|version| version.path().join("bin").join(program));
    files.any(|file| file.is_file())
}

/// Whether Debian would start an installed server, on port 80 or 5432, which would change the user's machine.
fn would_serve() -> bool {
    let is_ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    Path::new("/run/systemd/system").exists() && !is_ci
}
