//! What can be set: [`Config`], its defaults and its limits, and how a server comes to it.

mod http;
mod limits;
mod program;
mod resolved;
mod settings;
mod steps;
mod workers;

pub use http::Http;
use limits::Refusal;
pub(crate) use program::ProgramConfig;
pub(crate) use resolved::Resolved;
pub use settings::Config;
use settings::DEFAULT_ADDRESS;
pub(crate) use steps::{Settings, resolve_all};
pub use workers::Workers;
