//! What a program does with the machine that it runs on.

mod activation;
mod announcer;
mod credentials;
mod pid_file;
mod process;

pub(crate) use activation::{LISTEN_VARIABLES, passed_sockets};
pub(crate) use announcer::{
    Announcer, NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC, log_cut, log_ready, log_shutdown_delay,
    log_stopping,
};
pub(crate) use credentials::Credentials;
pub(crate) use pid_file::PidFile;
pub(crate) use process::{Title, open_standard_streams, set_umask};
