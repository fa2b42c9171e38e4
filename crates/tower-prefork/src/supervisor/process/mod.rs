//! One worker process, from its start to its end.

mod end;
mod happening;
mod report;
mod start;

pub(super) use happening::{Ended, Happening, Spent};
pub(super) use start::Process;
