//! Reaps orphans: the processes that workers leave behind.
//!
//! They become children of process 1, which a supervisor is in a container, and no other process waits for them.

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

/// When to check again while one of this process's own children has ended and is not reaped yet: it hides the others.
const CHECK_AGAIN: Duration = Duration::from_millis(100);

/// The processes that this one has started and waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnChildren(Arc<Mutex<BTreeSet<i32>>>);

impl OwnChildren {
    pub(super) fn add(&self, pid: Option<u32>) {
        self.pids().extend(pid.map(u32::cast_signed));
    }

    /// Forgets those that are reaped, because other processes may get their ids.
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

/// Reaps orphans for ever, if they become children of this process.
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
                () = sleep(CHECK_AGAIN) => {}
            }
        } else {
            ended.recv().await;
        }
    }
}

/// Reaps the orphans that have ended. `true` if it has stopped at one of this process's own children.
fn reap_all(own: &OwnChildren) -> bool {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    loop {
        let pid = match waitid(Id::All, ended | WaitPidFlag::WNOWAIT) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::EINTR) => continue,
            // No child has ended, or there is none.
            Ok(_) | Err(_) => return false,
        };
        if own.pids().contains(&pid.as_raw()) {
            return true;
        }
        let reaped = waitid(Id::Pid(pid), ended);
        tracing::debug!(pid = pid.as_raw(), ?reaped, "orphan reaped");
        if reaped.is_err() {
            return false;
        }
    }
}
