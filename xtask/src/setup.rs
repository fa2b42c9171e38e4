//! The step `setup`: checks the tools that later steps need, so that these do not fail half-way.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::command::{self, Failure, cargo};
use crate::debian::AptGet;
use crate::interpreter;

/// Debian's packages of a C compiler and its headers.
const DEBIAN_PACKAGES: [&str; 2] = ["gcc", "libc6-dev"];

pub(crate) fn run() -> Result<(), Failure> {
    rust_components()?;
    c_compiler()?;
    interpreter::set_up()
}

fn rust_components() -> Result<(), Failure> {
    let missing: Vec<_> = [("rustfmt", "fmt --version"), ("clippy", "clippy --version")]
        .into_iter()
        .filter(|(_, check)| command::output(cargo(check)).is_err())
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    Err(Failure(format!(
        "the toolchain has no {missing}: get it with `rustup component add {missing}`"
    )))
}

/// The examples bundle SQLite, which is compiled from C.
fn c_compiler() -> Result<(), Failure> {
    let chosen = env::var("CC").ok();
    let compiler = chosen.as_deref().unwrap_or("cc");
    let Err(problem) = compiles_c(compiler) else {
        return Ok(());
    };
    // Installing a package does not repair a compiler that the user has chosen.
    let apt_get = AptGet::available().filter(|_| chosen.is_none());
    let Some(apt_get) = apt_get else {
        let packages = DEBIAN_PACKAGES.join(" ");
        return Err(Failure(format!(
            "no C compiler for the bundled SQLite ({problem}): install one (on Debian `apt-get install {packages}`, on \
             Fedora `dnf install gcc`, on macOS `xcode-select --install`), or name yours in the variable CC"
        )));
    };
    println!("No C compiler ({problem}).");
    apt_get.install(&DEBIAN_PACKAGES)?;
    compiles_c(compiler)
        .map_err(|problem| Failure(format!("the installed C compiler does not work: {problem}")))
}

/// Whether `compiler` knows the headers of the C library; if not, why.
fn compiles_c(compiler: &str) -> Result<(), String> {
    // As the cc crate reads CC: a program, perhaps with a wrapper before it or arguments after it.
    let mut words = compiler.split_whitespace();
    let mut check = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(["-x", "c", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("`{compiler}` could not be started: {error}"))?;
    if let Some(mut stdin) = check.stdin.take() {
        // If the compiler does not read its input, its status is the better error.
        let _ = stdin.write_all(b"#include <stdio.h>\n");
    }
    match check.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "`{compiler}` does not compile `#include <stdio.h>`: {status}"
        )),
        Err(error) => Err(format!("`{compiler}` could not be waited for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_not_there_is_named() {
        let problem = compiles_c("no-such-compiler -O2").expect_err("it is not there");
        assert!(
            problem.starts_with("`no-such-compiler -O2` could not be started: "),
            "{problem}"
        );
    }

    #[test]
    fn a_compiler_that_fails_is_named() {
        let problem = compiles_c("false").expect_err("it fails");
        assert!(problem.starts_with("`false` does not compile"), "{problem}");
    }

    #[test]
    fn a_compiler_may_have_a_wrapper() {
        compiles_c("env true").expect("`true` accepts everything");
    }
}
