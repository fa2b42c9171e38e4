//! Settings from a TOML file, each with the line that it stands in.

mod apply;
mod keys;
mod own;
mod read;
mod value;

pub(super) use apply::apply;
#[cfg(feature = "cli")]
pub(crate) use apply::read_log;
pub(super) use own::OwnKey;
