//! Addresses to listen on, and the listening sockets.

mod address;
mod bind;
mod file;
mod socket;

pub(crate) use address::{Address, socket_path};
pub(crate) use bind::{Bound, bind, passed_bits};
pub(crate) use file::{SocketFile, remove_stale};
pub(crate) use socket::{Listener, Local};
