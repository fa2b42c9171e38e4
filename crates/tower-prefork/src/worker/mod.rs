//! What a child process does: take the listeners, build the service, accept, drain.

mod accept;
mod accepted;
mod application;
mod broken;
mod embedded;
mod facts;
mod gate;
mod listening;
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
mod work;

pub(crate) use application::Application;
pub(crate) use embedded::run_until;
pub use facts::Worker;
pub(crate) use process::run;
pub(crate) use single::{Alone, run as run_single};
pub use work::{AbandonedJob, Work};
