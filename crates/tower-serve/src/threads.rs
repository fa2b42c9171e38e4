//! Starts threads, and explains why the system refuses one.

use std::{io, thread};

use rustix::io::Errno;

/// Starts a thread. The error is a sentence for the operator.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let started = thread::Builder::new().name(name.into()).spawn(work);
    let refused = |error| refused(&format!("cannot start the thread {name:?}"), &error);
    started
        .map(drop)
        .map_err(|error| io::Error::other(refused(error)))
}

/// Why a thread or process could not be started, and what to do.
#[must_use]
pub fn refused(what: &str, error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) {
        return format!(
            "{what}: the system allows no more threads; raise pids.max of the container, or the number of \
             processes of this user (ulimit -u, LimitNPROC)"
        );
    }
    format!("{what}: {error}")
}
