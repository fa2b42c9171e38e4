use std::{
    collections::HashSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::Program;

/// The program of an example, built when it is first asked for, with the profile of the tests.
///
/// # Panics
///
/// When it cannot be built.
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
