//! What can be set: [`Config`], its defaults and its limits.

mod http;
mod limits;
mod program;
mod settings;
mod workers;

pub use http::Http;
pub(crate) use program::of_program;
pub use settings::Config;
pub(crate) use settings::DEFAULT_ADDRESS;
pub use workers::Workers;
