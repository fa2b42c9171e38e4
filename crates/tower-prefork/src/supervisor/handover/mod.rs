//! An upgrade: how one supervisor takes over from another.
//!
//! ```text
//! the old one                                the new one: the program executed again, as it was found
//!   its listeners, server by server  ──────>   takes those that its configuration names, binds the rest
//!   goes on                                    starts its workers
//!                                    <──────   all are ready: it serves, and owns the socket files
//!   retires its workers, and ends
//! ```
//!
//! Until the new one is ready the old one loses nothing: when the new one ends, or is late, the old one goes
//! on. When the old one dies, the new one goes on by itself.

mod message;
mod predecessor;
mod successor;

pub(super) use message::MARKER;
pub(crate) use predecessor::Predecessor;
pub(super) use successor::{Successor, start};
