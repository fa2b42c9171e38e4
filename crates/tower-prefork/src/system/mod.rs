//! What the program has to do with the machine that it runs on.

mod activation;
mod announcer;
mod credentials;
mod pid_file;
mod service_manager;
mod standard_streams;
mod title;
mod umask;

pub(crate) use activation::{LISTEN_VARIABLES, passed_sockets};
pub(crate) use announcer::Announcer;
pub(crate) use credentials::Credentials;
pub(crate) use pid_file::PidFile;
pub(crate) use service_manager::{NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC};
pub(crate) use standard_streams::open_standard_streams;
pub(crate) use title::Title;
pub(crate) use umask::set_umask;
