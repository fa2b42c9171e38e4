use rustix::{fs::Mode, process::umask};

/// Holds for every file that is created afterwards, in this process and in those that it starts.
pub(crate) fn set_umask(mode: Option<u32>) {
    if let Some(mode) = mode {
        umask(Mode::from_raw_mode(mode));
    }
}
