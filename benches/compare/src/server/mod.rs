//! A server process, its start, its end and its resources.

mod process;
mod tree;

pub(crate) use process::Server;
pub(crate) use tree::cpu_seconds_of_ended_children;
