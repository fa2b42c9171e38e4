//! What an operator asks the running program, and tells it, at its control socket.
//!
//! One JSON object a line, and one line of answer to each: `{"command":"status"}` is answered with
//! `{"ok":true,"status":{…}}`, what cannot be done with `{"ok":false,"error":"…"}`.

#[cfg(feature = "cli")]
mod client;
mod console;
mod order;
mod protocol;
mod socket;
mod status;

#[cfg(feature = "cli")]
pub use client::Ctl;
pub(crate) use console::Console;
pub(crate) use order::{Answer, Command, Order};
pub(crate) use socket::ControlSocket;
pub(crate) use status::{Role, ServerStatus, State, Status, WorkerStatus};
