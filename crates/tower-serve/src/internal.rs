//! What `tower-prefork` uses of this crate. It is not part of the API and changes without notice.

pub use crate::error::{panic_text, with_causes};

pub mod file {
    pub use crate::file::read;
}

pub mod log_writer {
    pub use crate::log_writer::{LineWriter, LogFile, Target, check, reopen_all};
}

pub mod threads {
    pub use crate::threads::{refused, start};
}

#[cfg(feature = "tls")]
pub mod tls {
    pub use crate::tls::{CertificateSummary, FileStates, TicketKeys, TlsMaterial};
}
