//! Addresses to listen on, and the listening sockets.

mod address;
mod bind;
mod file;
mod socket;

/// Listeners that one server can have: they go to a worker in one message.
pub(crate) const MAX_LISTENERS: usize = 64;

pub(crate) use address::{Address, socket_path};
pub(crate) use bind::{Bound, bind, passed_bits};
pub(crate) use file::{SocketFile, remove_stale};
pub(crate) use socket::{Listener, Local};
