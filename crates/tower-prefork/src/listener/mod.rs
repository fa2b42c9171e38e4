//! Addresses to listen on, and the listening sockets.

mod address;
mod bind;
mod socket;

pub(crate) use address::{Address, socket_path};
pub(crate) use bind::{Bound, bind, passed_bits, redirect_bits};
pub(crate) use socket::{Listener, LocalAddress, SocketFile, remove_stale};

/// The most listeners of one server: they go to a worker in one message.
pub(crate) const MAX_LISTENERS: usize = 64;
