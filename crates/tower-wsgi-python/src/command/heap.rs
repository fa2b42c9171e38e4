//! The C library's heap, which Python's larger objects and ours share.
#![cfg_attr(target_env = "gnu", allow(unsafe_code))]

/// So much free memory at its end stays with the process.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 16 << 20;

/// What is larger comes from the kernel, and goes back there when it is freed.
#[cfg(target_env = "gnu")]
const LARGE: i32 = 4 << 20;

/// Keeps the memory that bodies have used for the bodies to come.
///
/// glibc gives free memory back early. Where requests or responses of 100 KB and more come one after the
/// other, each gets pages that the kernel has to clear and map first, and these cost more than to receive
/// what is put there. Whoever has set glibc's variables knows better.
#[cfg(target_env = "gnu")]
pub(super) fn keep_for_bodies() {
    let variables = [
        "GLIBC_TUNABLES",
        "MALLOC_TRIM_THRESHOLD_",
        "MALLOC_MMAP_THRESHOLD_",
    ];
    if variables
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        return;
    }
    for (parameter, value) in [
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_MMAP_THRESHOLD, LARGE),
    ] {
        // SAFETY: it takes two numbers, locks the heap for itself, and refuses what it does not like.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(not(target_env = "gnu"))]
pub(super) fn keep_for_bodies() {}
