//! Settings from a TOML file, each with the line that it stands in.

mod document;
mod input;
mod own;
mod read;

pub(crate) use document::File;
pub(crate) use own::OwnKey;
