//! The way of a response body from a thread to the event loop: a little memory, then a file.

mod reader;
mod state;
mod writer;

#[cfg(test)]
mod tests;

pub(super) use self::state::pipe;
#[cfg(feature = "wsgi")]
pub(crate) use self::{
    reader::Reader,
    writer::{SendError, Writer},
};
