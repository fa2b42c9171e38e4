//! The programs that tests start: those of the workspace, and those that are installed on the machine.

use std::{
    collections::HashSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::{Program, skip};

/// A program of the workspace, built at its first use with the profile of the tests.
///
/// # Panics
///
/// If it cannot be built.
#[must_use]
pub fn program(package: &str) -> Program {
    static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    // The test's own program is in deps/ of the profile's directory.
    let test = env::current_exe().expect("the test knows its program");
    let directory = test.parent().and_then(Path::parent);
    let directory = directory.expect("cargo keeps tests two directories deep");

    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.get_or_insert_default().insert(package.to_owned()) {
        build(package, directory);
    }
    Program::new(directory.join(package))
}

fn build(package: &str, directory: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The features that `cargo xtask test` builds it with, so that nothing is compiled a second time.
    command.args(["build", "--quiet", "--workspace", "--all-features"]);
    command.args(["--bin", package]);
    if directory.ends_with("release") {
        command.arg("--release");
    }
    let target: PathBuf = directory.parent().expect("a target directory").into();
    let status = command
        .env("CARGO_TARGET_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cannot build {package}: {status:?}"
    );
}

/// A program of the machine, if it is installed. Otherwise the test must be [skipped](skip).
///
/// # Panics
///
/// If it is not installed, and the variable `CI` is `true`.
#[must_use]
pub fn installed(name: &str) -> Option<Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian installs servers there; only root has it in its path.
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = directories.map(|directory| directory.join(name));
    let found = files.find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found.map(Program::new)
}
