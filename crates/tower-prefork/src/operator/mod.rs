//! What an operator asks the running program, and tells it: the two sides of the control socket.

mod order;
mod status;

pub(crate) use order::{Answer, Command, Order};
pub(crate) use status::{Role, ServerStatus, State, Status, WorkerStatus};
