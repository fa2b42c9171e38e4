//! What can be set: [`Config`], its defaults and its limits, and how a server comes to it.

#[cfg(feature = "config-file")]
mod file;
mod files;
mod limits;
mod origins;
mod platform;
mod program;
mod resolved;
mod settings;
mod steps;
mod units;
mod workers;

#[cfg(feature = "cli")]
pub(crate) use file::read_log;
pub(crate) use files::{check_files, max_connections};
pub(crate) use limits::MAX_WORKERS;
pub(crate) use program::ProgramConfig;
pub(crate) use resolved::Resolved;
pub use settings::Config;
use settings::DEFAULT_ADDRESS;
pub(crate) use steps::{Settings, resolve_all};
#[cfg(feature = "cli")]
pub(crate) use units::{duration, mode, size};
pub use workers::Workers;
