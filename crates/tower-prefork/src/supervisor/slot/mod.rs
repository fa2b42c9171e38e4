//! The place of one worker: whoever dies in it, or is to go, is replaced.

mod death;
mod replace;
mod run;

pub(super) use run::{Slot, Stop};
