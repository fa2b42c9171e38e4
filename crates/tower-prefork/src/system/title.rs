use std::{ffi::CString, fmt, fs};

use rustix::thread::set_name;

/// Bytes of the name that the kernel keeps of a process.
const LONGEST: usize = 15;

/// What a process is called by those who list processes: `shop: worker 2`.
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

    /// Makes it the name of this process, which is that of its main thread, whichever thread calls. For
    /// the command line, safe code can choose a name only when a process starts.
    pub(crate) fn set(&self) {
        let name = self.short();
        if fs::write("/proc/self/comm", &name).is_ok() {
            return;
        }
        if let Ok(name) = CString::new(name) {
            // Without it the process has the name of its file, which is as well.
            let _ = set_name(&name);
        }
    }

    /// The role in full, and as much of the server's name as there is room for.
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
        // The rest would be cut off at a null byte.
        for part in self.server.split('\0') {
            f.write_str(part)?;
        }
        write!(f, ": {}", self.role)
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
