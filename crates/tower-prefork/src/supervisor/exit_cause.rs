//! Why a process ended, for the log.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::signals::signal_name;

/// The signal that the kernel sends when memory runs out.
const SIGKILL: i32 = 9;

/// How a process ended, in words. `out_of_memory` is called only if that may be the cause.
pub(super) fn describe_exit(status: ExitStatus, out_of_memory: impl FnOnce() -> bool) -> String {
    if let Some(code) = status.code() {
        return format!("exited with code {code}");
    }
    let signal = status.signal().unwrap_or_default();
    if signal == SIGKILL && out_of_memory() {
        return "killed by SIGKILL: out of memory".into();
    }
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    format!("killed by {}{core}", signal_name(signal))
}

/// Counts the processes of this program's cgroup that the kernel has killed because memory ran out.
///
/// The kernel counts the kills without the processes, so each kill explains one death.
#[derive(Debug, Default)]
pub(super) struct OomKills {
    /// The file with the kernel's counter, if there is one.
    file: Option<PathBuf>,
    /// The number of kills that have already explained a death.
    explained: AtomicU64,
}

impl OomKills {
    /// For the cgroup of this process.
    pub(super) fn of_this_program() -> Self {
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut files = counter_files(&cgroups).into_iter();
        Self {
            file: files.find(|file| read_count(file).is_some()),
            explained: AtomicU64::new(0),
        }
    }

    /// The number of kills until now.
    pub(super) fn count(&self) -> u64 {
        self.file.as_deref().and_then(read_count).unwrap_or(0)
    }

    /// Whether a kill after the first `before` explains a death without another cause.
    pub(super) fn explain_one_after(&self, before: u64) -> bool {
        let explained = self.explained.load(Relaxed).max(before);
        let explains = self.count() > explained;
        if explains {
            self.explained.store(explained + 1, Relaxed);
        }
        explains
    }
}

/// The files that may have the counter, the most likely one first. In a container the directory of the cgroup may be the
/// root of the mount.
fn counter_files(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(cgroup)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            continue;
        };
        let root = Path::new(root);
        files.push(root.join(cgroup.trim_start_matches('/')).join(file));
        files.push(root.join(file));
    }
    files
}

fn read_count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_signals_are_described() {
        for (raw, words) in [
            (0, "exited with code 0"),
            (3 << 8, "exited with code 3"),
            (9, "killed by SIGKILL"),
            (6 | 0x80, "killed by SIGABRT (core dumped)"),
            (40, "killed by SIGRTMIN+6"),
        ] {
            assert_eq!(describe_exit(ExitStatus::from_raw(raw), || false), words);
        }
    }

    #[test]
    fn only_a_kill_can_be_out_of_memory() {
        let words = |raw| describe_exit(ExitStatus::from_raw(raw), || true);
        assert_eq!(words(9), "killed by SIGKILL: out of memory");
        assert_eq!(words(15), "killed by SIGTERM");
        assert_eq!(words(9 << 8), "exited with code 9");
    }

    fn kills(file: &Path) -> OomKills {
        OomKills {
            file: Some(file.to_owned()),
            explained: AtomicU64::new(0),
        }
    }

    #[test]
    fn the_counter_is_that_of_the_cgroup() {
        let of = |cgroups| -> Vec<_> {
            let files = counter_files(cgroups);
            files
                .iter()
                .map(|file| file.display().to_string())
                .collect()
        };
        assert_eq!(
            of("0::/system.slice/shop.service\n"),
            [
                "/sys/fs/cgroup/system.slice/shop.service/memory.events",
                "/sys/fs/cgroup/memory.events",
            ]
        );
        assert_eq!(
            of("5:cpu,cpuacct:/\n4:memory:/docker/12ab\n"),
            [
                "/sys/fs/cgroup/memory/docker/12ab/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ]
        );
        assert!(of("nonsense").is_empty());
    }

    #[test]
    fn each_kill_explains_one_death() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("memory.events");
        fs::write(&file, "oom 1\noom_kill 1\noom_group_kill 0\n").unwrap();
        let kills = kills(&file);
        let before = kills.count();
        assert_eq!(before, 1);
        assert!(!kills.explain_one_after(before));

        // Two more kills.
        fs::write(&file, "oom 9\noom_kill 3\noom_group_kill 0\n").unwrap();
        assert!(kills.explain_one_after(before));
        assert!(kills.explain_one_after(before));
        assert!(!kills.explain_one_after(before));
        assert!(!kills.explain_one_after(0));

        fs::write(&file, "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n").unwrap();
        assert!(!kills.explain_one_after(4), "a worker that started later");
        assert!(kills.explain_one_after(before));
    }

    #[test]
    fn without_a_counter_nothing_is_explained() {
        assert!(!OomKills::default().explain_one_after(0));
        assert!(!kills(Path::new("/nonexistent")).explain_one_after(0));
    }
}
