//! What the parent process does: start the workers, watch them, replace the dead, stop.
//!
//! One thread, and none of the application's code.

mod backoff;
mod cause;
mod channel;
mod fleet;
mod process;
mod program;
mod reload;
mod run;
mod slot;

pub(crate) use run::{Charge, log_ready, log_stopping, run};
