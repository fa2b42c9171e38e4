//! The event loop of a process that serves: how it is built and shut down, and what happens if it panics.

use std::{
    any::Any,
    io,
    panic::{self, PanicHookInfo},
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout_at},
};
use tower_serve::internal::panic_text;

use super::WorkerContext;
use crate::{
    control::{Socket, ToSupervisor},
    error::Reason,
};

/// How often to check whether the last job has ended.
const CHECK: Duration = Duration::from_millis(20);

/// Blocking threads for tokio itself (host names, files), in addition to the application's.
const SPARE_THREADS: usize = 8;

/// How long exit handlers may take, which may be stuck.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// The event loop of this process, with threads for the application's blocking work.
pub(super) fn build(thread_workers: usize) -> io::Result<Runtime> {
    let count = AtomicUsize::new(0);
    Builder::new_current_thread()
        .enable_all()
        .thread_name_fn(move || format!("blocking-{}", count.fetch_add(1, Relaxed)))
        .max_blocking_threads(thread_workers + SPARE_THREADS)
        .build()
}

/// Shuts the event loop down. Running jobs may finish until the deadline. Without a deadline the start has failed, and
/// nothing is waited for.
pub(super) fn finish<'a>(
    runtime: Runtime,
    deadline: Option<Instant>,
    workers: impl IntoIterator<Item = &'a WorkerContext>,
) {
    let deadline = deadline.unwrap_or_else(Instant::now);
    runtime.block_on(async {
        for worker in workers {
            let jobs = async {
                while worker.pool_stats().oldest.is_some() {
                    sleep(CHECK).await;
                }
            };
            let _ = timeout_at(deadline.into(), jobs).await;
            worker.clear_monitors();
        }
    });
    // Also for threads that no monitor knows.
    runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
}

/// Ends the process if the event loop itself panics, on any thread: the process would live on and serve no request.
pub(super) fn exit_if_event_loop_panics(supervisor: Option<Arc<Socket>>) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        previous(panic);
        if is_in_event_loop(panic) {
            exit(supervisor.as_deref(), panic.payload());
        }
    }));
}

fn is_in_event_loop(panic: &PanicHookInfo<'_>) -> bool {
    panic
        .location()
        .is_some_and(|place| is_driver_file(place.file()))
}

/// Whether this is a source file of tokio's drivers for sockets, timers and signals.
fn is_driver_file(file: &str) -> bool {
    let Some((package, file)) = file.rsplit_once("/src/runtime/") else {
        return false;
    };
    let package = package.rsplit('/').next().unwrap_or_default();
    let is_driver = ["io/", "time/", "signal/", "driver", "process"]
        .iter()
        .any(|driver| file.starts_with(driver));
    package.starts_with("tokio") && is_driver
}

/// Ends the process after a panic of its event loop.
pub(super) fn exit(supervisor: Option<&Socket>, panic: &(dyn Any + Send)) -> ! {
    let reason = format!("its event loop has failed: {}", panic_text(panic));
    tracing::error!(reason, "the process exits");
    if let Some(supervisor) = supervisor {
        // A supervisor that cannot be reached sees that the process exits.
        let _ = supervisor.send(&ToSupervisor::failed(Reason::from(reason)), &[]);
    }
    let _ = thread::Builder::new().spawn(|| {
        thread::sleep(EXIT_GRACE);
        let _ = kill_process(getpid(), Signal::KILL);
    });
    process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drivers_are_parts_of_the_event_loop() {
        for file in [
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/runtime/io/driver.rs",
            "vendor/tokio/src/runtime/time/mod.rs",
        ] {
            assert!(is_driver_file(file), "{file}");
        }
        for file in [
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/runtime/blocking/pool.rs",
            "/home/me/.cargo/registry/src/index/tokio-1.54.1/src/sync/mutex.rs",
            "/home/me/shop/src/runtime/io/driver.rs",
            "src/main.rs",
        ] {
            assert!(!is_driver_file(file), "{file}");
        }
    }
}
