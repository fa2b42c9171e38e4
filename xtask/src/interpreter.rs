//! Chooses the CPython for builds and tests: once, so that no crate is compiled twice.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::command::Failure;
use crate::debian::AptGet;

/// Names the interpreter to PyO3, and here.
pub(crate) const VARIABLE: &str = "PYO3_PYTHON";

/// What Debian calls CPython's headers and library, and the module that makes virtual environments.
const DEBIAN_PACKAGES: [&str; 2] = ["python3-dev", "python3-venv"];

const CANDIDATES: [&str; 6] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
];

/// A script that prints the path of the interpreter, or ends with the reason why it is unsuitable.
const CHECK: &str = r#"
import os, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
if sys.implementation.name != "cpython" or sys.version_info < (3, 10):
    sys.exit("it is %s %s, not CPython 3.10 or later" % (sys.implementation.name, version))
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if not os.path.exists(header):
    sys.exit("its development files are missing: there is no %s" % header)
try:
    import ensurepip, venv
except ImportError as error:
    sys.exit("it cannot make virtual environments: %s" % error)
print(sys.executable)
"#;

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// The interpreter, if a suitable one is installed.
pub(crate) fn chosen() -> Option<&'static Path> {
    if let Some(path) = CHOSEN.get() {
        return Some(path);
    }
    let found = find().ok()?;
    Some(CHOSEN.get_or_init(|| found))
}

/// Finds an interpreter, or installs Debian's if it is allowed to.
pub(crate) fn set_up() -> Result<(), Failure> {
    if chosen().is_some() {
        return Ok(());
    }
    let Err(problem) = find() else {
        return Ok(());
    };
    // Installing a package does not repair an interpreter that the user has chosen.
    let apt_get = AptGet::available().filter(|_| env::var_os(VARIABLE).is_none());
    if let Some(apt_get) = apt_get {
        println!("No CPython to build for ({problem}).");
        apt_get.install(&DEBIAN_PACKAGES)?;
        return match find() {
            Ok(_) => Ok(()),
            Err(problem) => Err(Failure(format!(
                "the installed CPython does not do: {problem}"
            ))),
        };
    }
    Err(Failure(format!(
        "no CPython to build for ({problem}): install CPython 3.10 or later with its development files and its module \
         venv (on Debian `apt-get install {}`, on Fedora `dnf install python3-devel`), or name yours in the variable \
         {VARIABLE}",
        DEBIAN_PACKAGES.join(" ")
    )))
}

/// The interpreter in the variable, or else the first suitable one of the usual names; if there is none, what is wrong
/// with the first.
fn find() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(VARIABLE) {
        return check(Path::new(&named));
    }
    let mut problem = None;
    for candidate in CANDIDATES {
        match check(Path::new(candidate)) {
            Ok(path) => return Ok(path),
            Err(reason) => problem = problem.or(Some(reason)),
        }
    }
    Err(problem.unwrap_or_default())
}

fn check(interpreter: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(interpreter);
    command.args(["-c", CHECK]);
    let name = interpreter.display();
    let Ok(output) = command.output() else {
        return Err(format!("`{name}` could not be started"));
    };
    if output.status.success() {
        let path = String::from_utf8_lossy(&output.stdout);
        return Ok(PathBuf::from(path.trim_end_matches(['\r', '\n'])));
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    let reason = reason.lines().last().unwrap_or("it says nothing");
    Err(format!("`{name}`: {reason}"))
}

/// The command with the interpreter for PyO3 in its environment.
pub(crate) fn with_interpreter(mut command: Command) -> Command {
    if let Some(python) = chosen() {
        command.env(VARIABLE, python);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_that_is_not_there_is_named() {
        let problem = check(Path::new("no-such-python")).expect_err("it is not there");
        assert_eq!(problem, "`no-such-python` could not be started");
    }

    #[test]
    fn a_program_that_is_no_interpreter_is_refused() {
        let problem = check(Path::new("false")).expect_err("it fails");
        assert_eq!(problem, "`false`: it says nothing");
    }

    #[test]
    fn the_reason_is_the_last_line() {
        // As an interpreter it is given `-c` and the check, of which it knows nothing.
        let problem = check(Path::new("ls")).expect_err("it fails");
        assert!(problem.starts_with("`ls`: "), "{problem}");
        assert!(!problem.contains('\n'), "{problem}");
    }
}
