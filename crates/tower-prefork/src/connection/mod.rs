//! One client connection: hyper, its limits and time-outs, and the strict checks above hyper.

mod body;
mod facts;
mod load;
mod serve;

pub use body::RequestBody;
pub use facts::Connection;
pub(crate) use load::Load;
pub(crate) use serve::{Shared, serve};
