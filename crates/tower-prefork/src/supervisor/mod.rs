//! What the parent process does: start the workers, watch them, replace the dead, stop.
//!
//! One thread, and none of the application's code.
//!
//! | module | what it does |
//! |---|---|
//! | `run` | the event loop: what happens to the supervisor |
//! | `change`, `plans`, `reload`, `orders` | what operators ask for while it runs |
//! | `handover` | another supervisor takes over |
//! | `end`, `delay` | how it stops |
//! | `server`, `fleet` | one server: its listeners, its slots, and what its workers are started with |
//! | `slot`, `process` | the place of one worker, and one worker process |
//! | `program`, `channel` | what is executed, and the messages to it |
//! | `reaper` | the end of orphans, which come to process 1 |
//! | `backoff`, `balance`, `cause`, `out_of_memory` | decisions and their reasons |

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
mod reaper;
mod reload;
mod run;
mod server;
mod slot;

pub(crate) use delay::log_delay;
pub(crate) use end::log_stopping;
pub(crate) use handover::Predecessor;
pub(crate) use run::{Charge, Setup, log_ready, run};
