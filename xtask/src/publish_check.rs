//! `cargo xtask publish-check`: whether the published crates would be accepted.

use crate::command::{Failure, cargo, run as run_command};

/// Packages all of them, builds each from its package with the others' packages, and stops before the upload.
///
/// Cargo takes the crates in the order in which they depend on each other, and leaves out those marked
/// `publish = false`.
pub(crate) fn run() -> Result<(), Failure> {
    run_command(cargo(
        "publish --dry-run --workspace --all-features --allow-dirty",
    ))
}
