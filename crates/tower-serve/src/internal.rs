//! What `tower-prefork` uses of this crate, and nobody else may: it changes without notice.

pub use crate::error::{panic_text, with_causes};

pub mod file {
    pub use crate::file::read;
}

pub mod log_writer {
    pub use crate::log_writer::{LineWriter, Output, Target, check, reopen_all};
}

pub mod threads {
    pub use crate::threads::{refused, start};
}
