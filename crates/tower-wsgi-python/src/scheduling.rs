//! The scheduling policy of the pool's threads: the event loop runs first.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

#[cfg(target_os = "linux")]
pub(crate) use linux::{resume_batch, run_as_batch};

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        cell::Cell,
        ffi::{CStr, c_char, c_int, c_void},
        ptr,
        sync::Once,
    };

    use pyo3::ffi;

    /// Audit events of Python for the start of a process or a thread.
    const START_EVENTS: [&CStr; 7] = [
        c"subprocess.Popen",
        c"os.fork",
        c"os.forkpty",
        c"os.posix_spawn",
        c"os.system",
        c"_thread.start_new_thread",
        c"_thread.start_joinable_thread",
    ];

    unsafe extern "C" {
        /// <https://docs.python.org/3/c-api/sys.html#c.PySys_AddAuditHook>, which PyO3 does not have.
        fn PySys_AddAuditHook(hook: AuditHook, data: *mut c_void) -> c_int;
    }

    type AuditHook = extern "C" fn(*const c_char, *mut ffi::PyObject, *mut c_void) -> c_int;

    thread_local! {
        static POLICY: Cell<Policy> = const { Cell::new(Policy::Normal) };
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Policy {
        /// That of the process.
        Normal,
        /// `SCHED_BATCH`.
        Batch,
        /// That of the process until the thread detaches from the interpreter, then `SCHED_BATCH` again.
        Suspended,
    }

    /// Gives this thread, which is attached to the interpreter, the policy `SCHED_BATCH`: it does not preempt the event
    /// loop on the same core.
    ///
    /// A thread that is woken for a request preempts the thread that woke it, which is the event loop: that would read
    /// one request at a time, with two context switches for each. A batch thread starts when the event loop has read
    /// all requests, or at once on an idle core. Its share of the CPU time is the same.
    ///
    /// Processes and threads inherit the policy of the thread that starts them, and the kernel's `SCHED_RESET_ON_FORK`
    /// has no effect on `SCHED_BATCH`. So the policy is suspended while the application starts one.
    pub(crate) fn run_as_batch() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            // SAFETY: the thread is attached. The hook is a function, valid as long as the process, and its argument is
            // null. Another hook may forbid this one; the exception is then cleared.
            unsafe {
                if PySys_AddAuditHook(at_event, ptr::null_mut()) != 0 {
                    ffi::PyErr_Clear();
                }
            }
        });
        set(libc::SCHED_BATCH);
        POLICY.set(Policy::Batch);
    }

    /// Restores `SCHED_BATCH` if it was suspended. Called before the thread detaches from the interpreter.
    pub(crate) fn resume_batch() {
        if POLICY.get() == Policy::Suspended {
            set(libc::SCHED_BATCH);
            POLICY.set(Policy::Batch);
        }
    }

    /// Calls no Python and does not unwind: the thread-local has no destructor.
    extern "C" fn at_event(event: *const c_char, _: *mut ffi::PyObject, _: *mut c_void) -> c_int {
        if POLICY.get() == Policy::Batch {
            // SAFETY: Python passes the name of the event, which lives as long as this call.
            let event = unsafe { CStr::from_ptr(event) };
            if START_EVENTS.contains(&event) {
                set(libc::SCHED_OTHER);
                POLICY.set(Policy::Suspended);
            }
        }
        0
    }

    fn set(policy: c_int) {
        // SAFETY: all its fields are integers, for which zero is valid.
        let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
        // SAFETY: the parameters are read and not kept; 0 is this thread. If the kernel refuses, nothing changes.
        unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn run_as_batch() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resume_batch() {}
