use std::{env, path::PathBuf};

use crate::{Program, skip};

/// A program of the system, if it is there. Without it the test is to be [skipped](skip).
///
/// # Panics
///
/// When it is not there, and the variable `CI` is `true`.
#[must_use]
pub fn installed(name: &str) -> Option<Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps servers; only root has it on the path.
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = directories.map(|directory| directory.join(name));
    let found = files.find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found.map(Program::new)
}
