//! A server, from the outside.

mod process;
mod tree;

pub(crate) use process::Server;
pub(crate) use tree::cpu_seconds_of_ended_children;
