//! The control socket: what an operator asks the running program, and what he tells it to do.
//!
//! A client sends one JSON object per line, and gets one line in response to each. The response to `{"command":"status"}`
//! is `{"ok":true,"status":{…}}`; a command that fails gets `{"ok":false,"error":"…"}`.
//!
//! | module | what it does |
//! |---|---|
//! | `protocol` | the commands, the responses and the status, and how they travel |
//! | `socket` | the listening socket and its file |
//! | `server` | the supervisor's side: reads commands, and writes the responses |
//! | `ctl`, `client`, `table`, `top` | the command `ctl`: sends a command and prints the response |

#[cfg(feature = "cli")]
mod client;
#[cfg(feature = "cli")]
mod ctl;
mod protocol;
mod server;
mod socket;
#[cfg(feature = "cli")]
mod table;
#[cfg(feature = "cli")]
mod top;

#[cfg(feature = "cli")]
pub use ctl::Ctl;
pub(crate) use protocol::{
    CertificateStatus, Command, CommandOutput, CommandResult, ProcessRole, ProcessState,
    ServerStatus, Status, WorkerStatus,
};
pub(crate) use server::{ControlRequest, ControlServer};
pub(crate) use socket::ControlSocket;
