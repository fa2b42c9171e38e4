//! What can be set, and how a server comes to its settings.
//!
//! The tables are in `server` and `program`: a new setting is an entry there.

mod check;
#[cfg(feature = "layers")]
mod compressed_types;
#[cfg(feature = "config-file")]
mod file;
#[cfg(feature = "cli")]
mod log;
mod open_files;
mod platform;
mod program;
mod provenance;
mod proxies;
mod resolved;
mod server;
mod sources;
#[cfg(feature = "layers")]
mod static_files;
mod wire;
mod workers;

#[cfg(feature = "cli")]
pub(crate) use file::File;
#[cfg(feature = "cli")]
pub(crate) use log::LogFormat;
#[cfg(feature = "cli")]
pub use log::log_level;
pub(crate) use open_files::{check_files, max_connections};
pub(crate) use program::ProgramChanges;
pub use program::ProgramConfig;
pub(crate) use resolved::ResolvedConfig;
pub use server::Config;
pub(crate) use server::MAX_WORKERS;
pub(crate) use sources::{ConfigSources, resolve_all};
#[cfg(feature = "layers")]
pub use static_files::{StaticFiles, StaticNotFound};
pub use workers::Workers;
