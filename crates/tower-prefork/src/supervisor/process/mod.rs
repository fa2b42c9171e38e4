//! One worker process, from its start to its end.

mod shutdown;
mod updates;
mod worker_process;

pub(super) use updates::{EndedProcess, ProcessUpdate};
pub(super) use worker_process::Process;
