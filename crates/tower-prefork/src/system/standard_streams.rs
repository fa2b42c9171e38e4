//! Standard input, output and error that are closed at the start.

use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::fs::{Mode, OFlags};

/// Opens those of the descriptors 0 to 2 that are closed on `/dev/null`. Otherwise the next file or socket that is
/// opened would become one of them, and would get what is printed. Rust's own `main` does the same.
pub(crate) fn open_standard_streams() {
    // The kernel gives the lowest number that is free. Programs that this one starts inherit them.
    while let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        if null.as_raw_fd() > 2 {
            return;
        }
        let _ = null.into_raw_fd();
    }
}
