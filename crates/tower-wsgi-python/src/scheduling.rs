//! Which thread a core runs first.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

/// Has this thread leave the core to the event loop, and to whatever else was there first, when both want it.
///
/// A thread that is woken for a request interrupts who has woken it, which is the event loop: it would read one
/// request at a time, and the two take turns. As a batch thread it begins when the event loop has read them
/// all, or at once on a core that is free. Its share of the time is the same. What the application starts on this
/// thread is a batch thread, too.
#[cfg(target_os = "linux")]
pub(crate) fn run_as_batch() {
    // SAFETY: all its fields are numbers, for which zero is a value.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the parameters are read and not kept; 0 is this thread. Where it is forbidden nothing changes.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn run_as_batch() {}
