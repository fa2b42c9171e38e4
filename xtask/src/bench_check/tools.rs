//! Installs the tools that count: valgrind, and gungraun's runner.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, cargo, is_installed, output, run};
use crate::debian::AptGet;

/// Installs missing tools. Returns the directory with gungraun's runner.
pub(super) fn set_up(target: &Path) -> Result<PathBuf, Failure> {
    valgrind()?;
    runner(target)
}

fn valgrind() -> Result<(), Failure> {
    if is_installed("valgrind") {
        return Ok(());
    }
    match AptGet::available() {
        // With the symbols of the C library, without which valgrind does not start.
        Some(apt_get) => apt_get.install(&["valgrind", "libc6-dbg"]),
        None => Err(Failure(
            "no valgrind to count with: install it (on Debian `apt-get install valgrind`)"
                .to_owned(),
        )),
    }
}

/// The runner and the library must have the same version.
fn runner(target: &Path) -> Result<PathBuf, Failure> {
    let version = version_of("gungraun")?;
    let root = target.join("tools");
    let directory = root.join("bin");
    let mut ask = Command::new(directory.join("gungraun-runner"));
    ask.arg("--version");
    let installed = output(ask).unwrap_or_default();
    if installed.trim_ascii() != format!("gungraun-runner {version}").as_bytes() {
        let mut install = cargo("install gungraun-runner --locked");
        // The runner does not need to be fast, and a debug build takes half the time.
        install.args(["--debug", "--version", &format!("={version}"), "--root"]);
        install.arg(root);
        run(install)?;
    }
    Ok(directory)
}

/// The version of a crate that the workspace is locked to.
fn version_of(name: &str) -> Result<String, Failure> {
    let id = output(cargo(&format!("pkgid {name}")))?;
    let id = String::from_utf8_lossy(&id);
    let version = id.trim().rsplit(['@', '#']).next().unwrap_or_default();
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_has_the_version_of_the_library() {
        let version = version_of("gungraun").expect("it is a dependency");
        assert!(
            version.starts_with(|first: char| first.is_ascii_digit()),
            "{version}"
        );
    }
}
