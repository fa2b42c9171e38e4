//! Chooses the CPython of the comparison: the newest installed, because some of the servers need a new one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::interpreter;

/// A script that prints the version and the path, or ends with the reason why it is unsuitable.
const CHECK: &str = r#"
import os, sys, sysconfig
assert sys.implementation.name == "cpython" and sys.version_info >= (3, 12)
assert sys.version_info.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED")
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
import ensurepip, venv
print(*sys.version_info[:3], sys.executable)
"#;

/// The interpreter in the variable, or else the newest on the path and of pyenv.
pub(crate) fn newest() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os(interpreter::VARIABLE) {
        return Ok(named.into());
    }
    let fit = candidates().into_iter().filter_map(|path| check(&path));
    let newest = fit.max_by_key(|(version, _)| *version);
    newest.map(|(_, path)| path).ok_or_else(|| {
        Failure(format!(
            "no CPython to compare on: weft needs 3.12 or later, with its development files and its module venv; \
             install one (`pyenv install 3.13`, or your system's packages), or name yours in the variable {}",
            interpreter::VARIABLE
        ))
    })
}

fn candidates() -> Vec<PathBuf> {
    let minor = |minor| PathBuf::from(format!("python3.{minor}"));
    let mut found: Vec<_> = (12..=19).map(minor).collect();
    found.push("python3".into());
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")));
    let versions = pyenv.and_then(|pyenv| pyenv.join("versions").read_dir().ok());
    let versions = versions.into_iter().flatten().flatten();
    found.extend(versions.map(|version| version.path().join("bin/python3")));
    found
}

/// `None` if it is unsuitable or not installed.
fn check(interpreter: &Path) -> Option<([u32; 3], PathBuf)> {
    let mut command = Command::new(interpreter);
    command.args(["-c", CHECK]);
    parse(&String::from_utf8(command::output(command).ok()?).ok()?)
}

fn parse(line: &str) -> Option<([u32; 3], PathBuf)> {
    let mut words = line.trim_end().splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let version = [number()?, number()?, number()?];
    Some((version, words.next()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        let of = |line| parse(line).expect("a version and a path");
        let (old, _) = of("3 9 20 /a/python");
        let (new, path) = of("3 13 0 /a place/python\n");
        assert!(new > old);
        assert_eq!(path, Path::new("/a place/python"));
        assert_eq!(parse("3 13"), None);
    }

    #[test]
    fn a_program_that_is_no_interpreter_is_not_fit() {
        assert_eq!(check(Path::new("false")), None);
        assert_eq!(check(Path::new("no-such-python")), None);
    }
}
