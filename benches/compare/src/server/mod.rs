//! A server, from the outside.

mod process;
mod tree;

pub(crate) use process::Server;
