//! Attributes of this process: its name, its umask and its standard streams.

use std::{
    ffi::CString,
    fmt, fs,
    os::fd::{AsRawFd, IntoRawFd},
};

use rustix::{
    fs::{Mode, OFlags},
    process::umask,
    thread::set_name,
};

/// The longest name of a process that the kernel keeps, in bytes.
const LONGEST: usize = 15;

/// The name of a process in lists of processes: `shop: worker 2`.
#[derive(Debug)]
pub(crate) struct Title<'a> {
    server: &'a str,
    role: String,
}

impl<'a> Title<'a> {
    pub(crate) fn supervisor(server: &'a str) -> Self {
        let role = "supervisor".into();
        Self { server, role }
    }

    pub(crate) fn worker(server: &'a str, slot: usize) -> Self {
        let role = format!("worker {slot}");
        Self { server, role }
    }

    /// Makes it the name of this process, which is the name of its main thread, on whichever thread it is called. Safe code
    /// can set the command line of a process only when it starts the process.
    pub(crate) fn set(&self) {
        let name = self.short();
        if fs::write("/proc/self/comm", &name).is_ok() {
            return;
        }
        if let Ok(name) = CString::new(name) {
            // If this fails, the process keeps the name of its file.
            let _ = set_name(&name);
        }
    }

    /// The whole role, and as much of the server's name as fits.
    fn short(&self) -> String {
        let end = format!(": {}", self.role);
        let room = LONGEST.saturating_sub(end.len());
        let mut cuts = (0..=room.min(self.server.len())).rev();
        let cut = cuts.find(|cut| self.server.is_char_boundary(*cut));
        format!("{}{end}", &self.server[..cut.unwrap_or(0)])
    }
}

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A null byte would end the name.
        for part in self.server.split('\0') {
            f.write_str(part)?;
        }
        write!(f, ": {}", self.role)
    }
}

/// Sets the umask of this process and of those that it starts.
pub(crate) fn set_umask(mode: Option<u32>) {
    if let Some(mode) = mode {
        umask(Mode::from_raw_mode(mode));
    }
}

/// Opens `/dev/null` as those of the descriptors 0 to 2 that are closed. Otherwise the next file or socket that is opened
/// would become one of them, and would receive what the program prints. Rust's `main` does the same.
pub(crate) fn open_standard_streams() {
    // The kernel returns the lowest free number. Programs that this one starts inherit the descriptors.
    while let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        if null.as_raw_fd() > 2 {
            return;
        }
        let _ = null.into_raw_fd();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_never_cut() {
        for (title, short, long) in [
            (
                Title::supervisor("shop"),
                "sho: supervisor",
                "shop: supervisor",
            ),
            (
                Title::worker("probe", 2),
                "probe: worker 2",
                "probe: worker 2",
            ),
            (
                Title::worker("towels", 12),
                "towe: worker 12",
                "towels: worker 12",
            ),
            (Title::worker("a", 0), "a: worker 0", "a: worker 0"),
            (
                Title::worker("käse", 12),
                "käs: worker 12",
                "käse: worker 12",
            ),
        ] {
            assert_eq!(title.short(), short);
            assert!(short.len() <= LONGEST);
            assert_eq!(title.to_string(), long);
        }
    }
}
