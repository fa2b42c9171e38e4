//! Tuning of the C library's heap, which the larger objects of Python and the bodies of Rust share.

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};

use pyo3::prelude::*;

#[cfg(target_env = "gnu")]
use self::glibc::trim;

#[cfg(target_env = "gnu")]
pub(super) use self::glibc::keep_for_bodies;

/// Only glibc is tuned.
#[cfg(not(target_env = "gnu"))]
pub(super) fn keep_for_bodies() {}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

const MIN_INTERVAL: Duration = Duration::from_secs(10);
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// The interval between two calls of [`trim`], as a multiple of the last call's duration. A call holds the heap's lock:
/// for microseconds usually, for a millisecond to release some megabytes, for 60 ms with 50 000 free blocks. The limit
/// is there because on a busy machine the duration includes the time of other processes.
const INTERVAL_FACTOR: u32 = 1000;

/// Releases unused memory to the kernel at intervals, until the current runtime ends.
pub(super) fn trim_periodically() {
    tokio::spawn(async {
        let mut interval = MIN_INTERVAL;
        loop {
            tokio::time::sleep(interval).await;
            // tokio panics if the system refuses to start a thread.
            let spawned = catch_unwind(|| tokio::task::spawn_blocking(collect_and_trim));
            let Ok(task) = spawned else {
                continue;
            };
            let Ok(duration) = task.await else {
                return;
            };
            interval = (duration * INTERVAL_FACTOR).clamp(MIN_INTERVAL, MAX_INTERVAL);
        }
    });
}

fn collect_and_trim() -> Duration {
    // Attaching releases the Python objects of bodies that were dropped without the interpreter's lock.
    let _attached = Python::try_attach(|_| ());
    let start = Instant::now();
    trim();
    start.elapsed()
}

#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
mod glibc {
    use std::{
        env,
        sync::atomic::{AtomicBool, Ordering},
    };

    /// The amount of free memory at the heap's end that stays with the process until the next trim.
    const TRIM_THRESHOLD: i32 = 64 << 20;

    /// The amount that stays after a trim.
    const KEPT_BY_TRIM: usize = 4 << 20;

    /// Blocks of this size or more are mapped from the kernel, and unmapped when they are freed.
    const MMAP_THRESHOLD: i32 = 4 << 20;

    /// If one of these environment variables is set, the operator has tuned the heap already.
    const VARIABLES: [&str; 4] = [
        "GLIBC_TUNABLES",
        "MALLOC_ARENA_MAX",
        "MALLOC_TRIM_THRESHOLD_",
        "MALLOC_MMAP_THRESHOLD_",
    ];

    /// Whether [`keep_for_bodies`] has tuned the heap.
    static IS_TUNED: AtomicBool = AtomicBool::new(false);

    /// Keeps memory that bodies have used for later bodies. To be called before the process has a second thread.
    ///
    /// By default glibc returns free memory to the kernel early. With a series of requests or responses of 100 KB or
    /// more, the kernel would clear and map pages for each of them, which costs more than receiving the data.
    ///
    /// glibc also gives each thread a heap of its own. Here one thread frees what another has allocated, so both heaps
    /// would keep memory; and because of the interpreter's lock only one thread allocates at a time anyway.
    pub(in crate::command) fn keep_for_bodies() {
        if VARIABLES.iter().any(|name| env::var_os(name).is_some()) {
            return;
        }
        for (parameter, value) in [
            (libc::M_ARENA_MAX, 1),
            (libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD),
            (libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD),
        ] {
            // SAFETY: it takes two integers, locks the heap itself, and ignores invalid values.
            unsafe { libc::mallopt(parameter, value) };
        }
        IS_TUNED.store(true, Ordering::Relaxed);
    }

    /// Releases unused memory to the kernel.
    pub(super) fn trim() {
        if IS_TUNED.load(Ordering::Relaxed) {
            // SAFETY: it takes an integer, and locks the heap itself.
            unsafe { libc::malloc_trim(KEPT_BY_TRIM) };
        }
    }
}
