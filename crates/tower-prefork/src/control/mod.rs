//! How the processes of a program talk to each other.
//!
//! Messages travel as JSON over a pair of connected sockets that preserve message boundaries (`SOCK_SEQPACKET`), and may
//! carry file descriptors. A process that was started with such a socket finds it as its standard input. When one side
//! dies, the other reads the end of the stream.

#[cfg(feature = "tls")]
mod certificates_file;
mod messages;
mod socket;

#[cfg(feature = "tls")]
pub(crate) use certificates_file::{read_certificates, write_certificates};
#[cfg(feature = "cli")]
pub(crate) use messages::announced_config;
pub(crate) use messages::{
    MARKER, RecycleReason, ToSupervisor, ToWorker, WorkerStats, check_config_size,
};
pub(crate) use socket::{Channel, Socket};
