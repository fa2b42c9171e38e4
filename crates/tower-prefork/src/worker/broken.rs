//! The end of a process whose event loop is broken.

use std::{
    any::Any,
    panic::{self, PanicHookInfo},
    process,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

use crate::{
    control::{Socket, ToSupervisor},
    error::Reason,
};
use tower_serve::internal::panic_text;

/// What exit handlers get, which may be stuck.
const GRACE: Duration = Duration::from_millis(500);

/// Ends the process when the event loop's inner parts panic, on whatever thread: it would be there still, and answer
/// nobody.
pub(super) fn end_when_broken(supervisor: Option<Arc<Socket>>) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        before(panic);
        if is_of_event_loop(panic) {
            end(supervisor.as_deref(), panic.payload());
        }
    }));
}

fn is_of_event_loop(panic: &PanicHookInfo<'_>) -> bool {
    panic
        .location()
        .is_some_and(|place| is_inner_part(place.file()))
}

/// Whether this is a file of tokio's drivers: of sockets, timers and signals.
fn is_inner_part(file: &str) -> bool {
    let Some((package, file)) = file.rsplit_once("/src/runtime/") else {
        return false;
    };
    let package = package.rsplit('/').next().unwrap_or_default();
    let is_driver = ["io/", "time/", "signal/", "driver", "process"]
        .iter()
        .any(|driver| file.starts_with(driver));
    package.starts_with("tokio") && is_driver
}

/// Ends the process: its event loop cannot go on.
pub(super) fn end(supervisor: Option<&Socket>, panic: &(dyn Any + Send)) -> ! {
    let reason = format!("its event loop has failed: {}", panic_text(panic));
    tracing::error!(reason, "this process cannot go on, and ends");
    if let Some(supervisor) = supervisor {
        // A supervisor that cannot be reached sees the end.
        let _ = supervisor.send(&ToSupervisor::failed(Reason::from(reason)), &[]);
    }
    let _ = thread::Builder::new().spawn(|| {
        thread::sleep(GRACE);
        let _ = kill_process(getpid(), Signal::KILL);
    });
    process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_are_inner_parts_and_tasks_are_not() {
        for file in [
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/runtime/io/driver.rs",
            "vendor/tokio/src/runtime/time/mod.rs",
        ] {
            assert!(is_inner_part(file), "{file}");
        }
        for file in [
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/runtime/blocking/pool.rs",
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/sync/mutex.rs",
            "/home/me/shop/src/runtime/io/driver.rs",
            "src/main.rs",
        ] {
            assert!(!is_inner_part(file), "{file}");
        }
    }
}
