//! Which core a process runs on.

use std::process::Command;

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::case::Mode;

/// The two ends of a connection.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Server,
    Load,
}

/// The program under `taskset`, where it has a core of its own.
pub(crate) fn command(program: &std::path::Path, mode: Mode, side: Side) -> Command {
    match core(mode, side) {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The first of the cores that this process may use for the server, the second for the load.
fn core(mode: Mode, side: Side) -> Option<usize> {
    if mode == Mode::Free {
        return None;
    }
    let allowed = sched_getaffinity(None).ok()?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let (first, second) = (allowed.next()?, allowed.next()?);
    Some(match side {
        Side::Server => first,
        Side::Load => second,
    })
}
