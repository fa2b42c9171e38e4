//! The heap of glibc.
#![allow(unsafe_code)]

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
};

/// So much free memory at its end stays with the process until the next look.
const KEPT: i32 = 64 << 20;

/// And so much after it.
const KEPT_AFTER_A_LOOK: usize = 4 << 20;

/// What is larger comes from the kernel, and goes back there when it is freed.
const LARGE: i32 = 4 << 20;

/// Whoever has set one of these knows better.
const VARIABLES: [&str; 4] = [
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
];

/// Whether this process keeps memory.
static KEEPS: AtomicBool = AtomicBool::new(false);

/// Keeps the memory that bodies have used for the bodies to come. To be called before there is a second thread.
///
/// glibc gives free memory back early. Where requests or responses of 100 KB and more come one after the
/// other, each gets pages that the kernel has to clear and map first, and these cost more than to receive
/// what is put there.
///
/// And it gives threads heaps of their own. Here one thread frees what another has allocated, so that the heaps
/// of both keep memory, and the interpreter's lock lets one of them allocate at a time anyway.
pub(in crate::command) fn keep_for_bodies() {
    if VARIABLES.iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_MMAP_THRESHOLD, LARGE),
    ] {
        // SAFETY: it takes two numbers, locks the heap for itself, and refuses what it does not like.
        unsafe { libc::mallopt(parameter, value) };
    }
    KEEPS.store(true, Ordering::Relaxed);
}

/// Gives back what is kept for nothing.
pub(super) fn give_back() {
    if KEEPS.load(Ordering::Relaxed) {
        // SAFETY: it takes a number, and locks the heap for itself.
        unsafe { libc::malloc_trim(KEPT_AFTER_A_LOOK) };
    }
}
