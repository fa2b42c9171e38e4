//! What the parent process does: start the workers, watch them, replace the dead, stop.
//!
//! One thread, and none of the application's code.

mod backoff;
mod balance;
mod cause;
mod change;
mod channel;
mod delay;
mod end;
mod fleet;
mod handover;
mod orders;
mod out_of_memory;
mod plans;
mod process;
mod program;
mod reload;
mod run;
mod server;
mod slot;

pub(crate) use delay::log_delay;
pub(crate) use end::log_stopping;
pub(crate) use handover::Predecessor;
pub(crate) use run::{Charge, Setup, log_ready, run};
