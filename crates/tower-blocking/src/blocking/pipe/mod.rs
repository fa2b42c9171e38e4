//! The pipe of a response body, from the thread that produces it to the event loop: some memory, then a temporary file.

mod buffer;
mod reader;
mod stalls;
mod writer;

#[cfg(test)]
mod tests;

pub(super) use self::buffer::{PipeBudget, pipe};
pub use self::{
    reader::BodyReader,
    writer::{BodyWriter, SendError},
};
