//! The end of processes that this one has not started.
//!
//! Orphans become children of process 1, as which a supervisor runs in a container: those that workers leave
//! behind, which nobody else waits for.

use std::{
    collections::BTreeSet,
    io, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// When to look again, when one of this process's own children has ended and is not waited for yet: it stands
/// before the others.
const AGAIN: Duration = Duration::from_millis(100);

/// The processes that this one has started and waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnChildren(Arc<Mutex<BTreeSet<i32>>>);

impl OwnChildren {
    pub(super) fn add(&self, pid: Option<u32>) {
        self.pids().extend(pid.map(u32::cast_signed));
    }

    /// Those that were waited for do not count any more: their numbers may be given to others.
    fn forget_reaped(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let is_there =
            |pid: &i32| waitid(Id::Pid(Pid::from_raw(*pid)), flags) != Err(Errno::ECHILD);
        self.pids().retain(is_there);
    }

    fn pids(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether orphans become children of this process.
fn gets_orphans() -> bool {
    process::id() == 1 || matches!(rustix::process::child_subreaper(), Ok(Some(_)))
}

/// Waits for orphans, for ever, if any come to this process.
pub(super) async fn reap_orphans(own: OwnChildren) -> io::Result<()> {
    if !gets_orphans() {
        return Ok(());
    }
    let mut ended = signal(SignalKind::child())?;
    loop {
        own.forget_reaped();
        if reap_all(&own) {
            tokio::select! {
                _ = ended.recv() => {}
                () = sleep(AGAIN) => {}
            }
        } else {
            ended.recv().await;
        }
    }
}

/// Waits for those that have ended. Whether it came upon one of this process's own, before which it stops.
fn reap_all(own: &OwnChildren) -> bool {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    loop {
        let pid = match waitid(Id::All, ended | WaitPidFlag::WNOWAIT) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::EINTR) => continue,
            // None has ended, or there is none.
            Ok(_) | Err(_) => return false,
        };
        if own.pids().contains(&pid.as_raw()) {
            return true;
        }
        let reaped = waitid(Id::Pid(pid), ended);
        tracing::debug!(pid = pid.as_raw(), ?reaped, "an orphan has ended");
        if reaped.is_err() {
            return false;
        }
    }
}
