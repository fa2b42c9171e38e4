//! A process with its children and theirs, as `/proc` shows them.

use std::{collections::HashMap, fs};

/// The memory of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident pages, in KiB; those of several processes are counted in each.
    pub(crate) rss_kib: u64,
    /// The same with shared pages divided among the processes that share them.
    pub(crate) pss_kib: u64,
}

/// The root and all that descend from it.
pub(crate) fn processes(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = process.file_name().to_string_lossy().parse();
        if let Ok(id) = id
            && let Some(parent) = stat(id, 1)
            && let Ok(parent) = u32::try_from(parent)
        {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(process).unwrap_or_default());
        next += 1;
    }
    found
}

pub(crate) fn cpu_seconds(root: u32) -> f64 {
    let ticks = |process| Some(stat(process, 11)? + stat(process, 12)?);
    seconds(processes(root).into_iter().filter_map(ticks).sum())
}

/// The processor time of this process' children that have ended.
pub(crate) fn cpu_seconds_of_ended_children() -> f64 {
    let own = std::process::id();
    let ticks = stat(own, 13).zip(stat(own, 14));
    seconds(ticks.map_or(0, |(user, system)| user + system))
}

fn seconds(ticks: u64) -> f64 {
    let per_second = rustix::param::clock_ticks_per_second();
    crate::load::float(ticks) / crate::load::float(per_second)
}

pub(crate) fn memory(root: u32) -> Memory {
    let each = processes(root).into_iter().map(memory_of);
    each.fold(Memory::default(), |sum, one| Memory {
        rss_kib: sum.rss_kib + one.rss_kib,
        pss_kib: sum.pss_kib + one.pss_kib,
    })
}

pub(crate) fn worker_memory(root: u32) -> Memory {
    let leaves = processes(root)
        .into_iter()
        .filter(|process| processes(*process).len() == 1);
    let largest = leaves.map(memory_of).max_by_key(|memory| memory.rss_kib);
    largest.unwrap_or_default()
}

fn memory_of(process: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix("kB"));
        number.and_then(|number| number.trim().parse().ok())
    };
    Memory {
        rss_kib: field("Rss:").unwrap_or_default(),
        pss_kib: field("Pss:").unwrap_or_default(),
    }
}

/// A number of `/proc/PID/stat`, counted from the state.
fn stat(process: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program stands in parentheses, and may have spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(field)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_belongs_to_its_parent() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("`cat` starts");
        assert!(processes(std::process::id()).contains(&child.id()));
        assert_eq!(processes(child.id()), [child.id()]);
        assert!(memory(child.id()).rss_kib >= memory(child.id()).pss_kib);
        assert!(memory(child.id()).rss_kib > 0);
        drop(child.stdin.take());
        child.wait().expect("`cat` ends with its input");
    }

    #[test]
    fn work_takes_processor_time() {
        let before = cpu_seconds(std::process::id());
        // Three ticks: another test of this process may share them.
        while cpu_seconds(std::process::id()) < before + 0.03 {}
    }

    #[test]
    fn what_ended_children_have_used_is_known() {
        let before = cpu_seconds_of_ended_children();
        let work = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
        let status = Command::new("sh").args(["-c", work]).status();
        assert!(status.expect("a shell").success());
        assert!(cpu_seconds_of_ended_children() > before);
    }
}
