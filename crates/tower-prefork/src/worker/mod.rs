//! What a child process does: take the listeners, build the service, accept, drain.

mod accept;
mod accepted;
mod application;
mod broken;
mod context;
mod embedded;
mod gate;
mod listening;
mod monitors;
mod polite;
mod process;
mod room;
mod runtime;
mod serve;
mod single;
mod spent;
mod stop;
mod stuck;
mod vitals;

pub(crate) use application::Application;
pub use context::WorkerContext;
pub(crate) use embedded::run_until;
pub(crate) use process::run;
pub(crate) use single::{Alone, run as run_single};
