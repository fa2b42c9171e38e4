//! The parent process: it starts the workers, watches them, replaces those that die, and stops them.
//!
//! It has one thread, and runs none of the application's code.
//!
//! | module | what it does |
//! |---|---|
//! | `event_loop` | waits for what happens to the supervisor |
//! | `commands` | signals, and the commands at the control socket |
//! | `operations`, `reload` | operations that take their time, one after another |
//! | `handover` | another supervisor takes over |
//! | `shutdown` | how it ends |
//! | `server`, `server_state` | one server: its listeners, its slots, and what its workers are started with |
//! | `slot`, `process` | the slot of one worker, and one worker process |
//! | `program` | what is executed |
//! | `reaper` | reaps orphans |
//! | `backoff`, `balance`, `exit_cause` | decisions and their reasons |

mod backoff;
mod balance;
mod commands;
mod event_loop;
mod exit_cause;
mod handover;
mod operations;
mod process;
mod program;
mod reaper;
mod reload;
mod server;
mod server_state;
mod shutdown;
mod slot;

pub(crate) use event_loop::{ServerSetup, Setup, run};
pub(crate) use handover::Predecessor;
