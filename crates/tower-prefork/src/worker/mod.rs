//! What a process does that serves: it builds the service, accepts connections, serves them, and drains.
//!
//! | module | what it does |
//! |---|---|
//! | `process` | the life of a worker process, and its messages to the supervisor |
//! | `standalone` | the same without a supervisor |
//! | `serve` | builds the service and serves it |
//! | `layers` | what the settings put between the connections and the service: static files, compression |
//! | `accept`, `connection_limit` | the accept thread, and how many connections there may be |
//! | `shutdown` | how the process drains, and the deadline |
//! | `recycle` | when the worker is to be replaced |
//! | `context`, `stats` | what the service knows of the worker, and what the worker reports |
//! | `certificates` | certificates that change |
//! | `runtime` | the event loop |

mod accept;
#[cfg(feature = "tls")]
mod certificates;
mod connection_limit;
mod context;
#[cfg(feature = "layers")]
mod layers;
mod process;
mod recycle;
mod runtime;
mod serve;
mod shutdown;
mod standalone;
mod stats;

pub use context::WorkerContext;
pub(crate) use process::run;
pub(crate) use serve::Application;
pub(crate) use standalone::{Standalone, run_standalone, run_until};
