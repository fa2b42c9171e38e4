//! The directories of the comparison.

use std::path::PathBuf;

/// The directories that the comparison works with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Places {
    /// The virtual environment with the Python servers
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) python: PathBuf,

    /// The directory of the Rust servers: where this program was built
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) rust: PathBuf,

    /// The directory for the servers' logs
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) logs: PathBuf,

    /// The directory for the results; what it has of other rows stays
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) results: PathBuf,
}

impl Places {
    /// The applications in Python.
    pub(crate) fn applications() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/applications"))
    }

    /// The files that [`files`](crate::files) writes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.logs.join("files").join(name)
    }

    pub(crate) fn rounds(&self) -> PathBuf {
        self.results.join("rounds.csv")
    }
}
