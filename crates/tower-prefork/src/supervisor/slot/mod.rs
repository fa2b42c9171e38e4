//! The slot of one worker: a process that dies in it, or is to be recycled, is replaced.

mod machine;
mod transitions;

pub(super) use machine::{ShutdownMode, Slot};
