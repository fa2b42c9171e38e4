//! The way of a response body from a thread to the event loop: a little memory, then a file.

mod reader;
mod room;
mod stalls;
mod state;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    reader::Reader,
    writer::{SendError, Writer},
};
pub(super) use self::{room::Room, state::pipe};
