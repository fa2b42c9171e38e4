use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts the processes of this program's cgroup that the kernel has killed because memory ran out.
///
/// The kernel tells the number and not whom, so each kill explains one death.
#[derive(Debug, Default)]
pub(super) struct OomKills {
    /// Where the kernel counts them; `None` where it does not.
    file: Option<PathBuf>,
    /// So many have explained a death already.
    explained: AtomicU64,
}

impl OomKills {
    /// Those of the cgroup that this process is in.
    pub(super) fn of_this_program() -> Self {
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut files = files(&cgroups).into_iter();
        Self {
            file: files.find(|file| read(file).is_some()),
            explained: AtomicU64::new(0),
        }
    }

    /// How many there were up to now.
    pub(super) fn count(&self) -> u64 {
        self.file.as_deref().and_then(read).unwrap_or(0)
    }

    /// Whether one after the first `before` explains a death that nothing else does.
    pub(super) fn explain_one_after(&self, before: u64) -> bool {
        let explained = self.explained.load(Relaxed).max(before);
        let explains = self.count() > explained;
        if explains {
            self.explained.store(explained + 1, Relaxed);
        }
        explains
    }
}

/// Where the count may be, the likeliest first. In a container the cgroup's own directory may be the
/// root of what can be seen.
fn files(cgroups: &str) -> Vec<PathBuf> {
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

fn read(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills(file: &Path) -> OomKills {
        OomKills {
            file: Some(file.to_owned()),
            explained: AtomicU64::new(0),
        }
    }

    #[test]
    fn the_cgroup_of_this_program_is_looked_at() {
        let of = |cgroups| -> Vec<_> {
            let files = files(cgroups);
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

        // Two at once, of which one worker is the third.
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
    fn a_kernel_that_does_not_count_explains_nothing() {
        assert!(!OomKills::default().explain_one_after(0));
        assert!(!kills(Path::new("/nonexistent")).explain_one_after(0));
    }
}
