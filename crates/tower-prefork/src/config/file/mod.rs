//! Settings from a TOML file, each with the line that it stands in.

mod document;
mod own;
mod raw_value;
mod read;

pub(crate) use document::File;
pub(crate) use own::OwnKey;
