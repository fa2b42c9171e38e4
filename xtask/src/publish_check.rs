//! `cargo xtask publish-check`: tries to publish the crates, without the upload.

use crate::command::{Failure, cargo, run as run_command};

/// Packages the published crates, builds each from its package, and stops before the upload.
///
/// Cargo orders the crates by their dependencies and leaves out those with `publish = false`.
pub(crate) fn run() -> Result<(), Failure> {
    run_command(cargo(
        "publish --dry-run --workspace --all-features --allow-dirty",
    ))
}
