//! What must be on the machine beside Rust: checked first, so that no later step fails over it half-way.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{self, Failure, cargo};

/// What Debian calls a C compiler and its headers.
const DEBIAN_PACKAGES: [&str; 2] = ["gcc", "libc6-dev"];

pub(crate) fn run() -> Result<(), Failure> {
    rust_components()?;
    c_compiler()
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
    // A package does not cure a compiler that somebody chose.
    let privilege = if chosen.is_none() {
        apt_get_privilege()
    } else {
        None
    };
    let packages = DEBIAN_PACKAGES.join(" ");
    let Some(privilege) = privilege else {
        return Err(Failure(format!(
            "no C compiler for the bundled SQLite ({problem}): install one (on Debian `apt-get install {packages}`, on \
             Fedora `dnf install gcc`, on macOS `xcode-select --install`), or name yours in the variable CC"
        )));
    };
    println!("No C compiler ({problem}): installing the Debian packages {packages}.");
    command::run(apt_get(privilege, &["update"]))?;
    let install = ["install", "--yes", "--no-install-recommends"];
    command::run(apt_get(
        privilege,
        &[&install[..], &DEBIAN_PACKAGES].concat(),
    ))?;
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
        // A compiler that does not read its input tells more by its status.
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

/// How this user may run `apt-get`: as itself, by `sudo` without a password, or not at all.
#[derive(Clone, Copy)]
enum Privilege {
    Root,
    Sudo,
}

fn apt_get_privilege() -> Option<Privilege> {
    let succeeds = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args);
        command::output(command)
    };
    if !Path::new("/etc/debian_version").exists() {
        None
    } else if succeeds("id", &["-u"]).is_ok_and(|uid| uid.trim_ascii() == b"0") {
        Some(Privilege::Root)
    } else if succeeds("sudo", &["--non-interactive", "true"]).is_ok() {
        Some(Privilege::Sudo)
    } else {
        None
    }
}

fn apt_get(privilege: Privilege, args: &[&str]) -> Command {
    let mut command = match privilege {
        Privilege::Root => Command::new("apt-get"),
        Privilege::Sudo => {
            let mut command = Command::new("sudo");
            command.args(["--non-interactive", "apt-get"]);
            command
        }
    };
    command.args(args);
    command
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
