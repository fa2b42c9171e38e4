//! Which thread a core runs first.
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

    /// What Python does, by its audit events, when an application starts a process or a thread.
    const STARTS: [&CStr; 7] = [
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
        /// As the process is.
        Normal,
        Batch,
        /// Normal until the application is left.
        Suspended,
    }

    /// Has this thread, which is attached to the interpreter, leave the core to the event loop, and to whatever else
    /// was there first, when both want it.
    ///
    /// A thread that is woken for a request interrupts who has woken it, which is the event loop: it would read one
    /// request at a time, and the two take turns. As a batch thread it begins when the event loop has read them
    /// all, or at once on a core that is free. Its share of the time is the same.
    ///
    /// What a thread starts inherits its policy, and the system's `SCHED_RESET_ON_FORK` is for others than this
    /// one. So it is a normal thread while the application starts something.
    pub(crate) fn run_as_batch() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            // SAFETY: the thread is attached. The hook is there as long as the process, and takes no argument that it
            // would have to keep. Another hook may forbid this one; the exception is then taken away.
            unsafe {
                if PySys_AddAuditHook(at_event, ptr::null_mut()) != 0 {
                    ffi::PyErr_Clear();
                }
            }
        });
        set(libc::SCHED_BATCH);
        POLICY.set(Policy::Batch);
    }

    /// The application is left for now.
    pub(crate) fn resume_batch() {
        if POLICY.get() == Policy::Suspended {
            set(libc::SCHED_BATCH);
            POLICY.set(Policy::Batch);
        }
    }

    /// Calls nothing of Python and does not unwind: the thread-local has no destructor.
    extern "C" fn at_event(event: *const c_char, _: *mut ffi::PyObject, _: *mut c_void) -> c_int {
        if POLICY.get() == Policy::Batch {
            // SAFETY: Python gives the name of the event, which lives as long as this call.
            let event = unsafe { CStr::from_ptr(event) };
            if STARTS.contains(&event) {
                set(libc::SCHED_OTHER);
                POLICY.set(Policy::Suspended);
            }
        }
        0
    }

    fn set(policy: c_int) {
        // SAFETY: all its fields are numbers, for which zero is a value.
        let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
        // SAFETY: the parameters are read and not kept; 0 is this thread. Where it is forbidden nothing changes.
        unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn run_as_batch() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resume_batch() {}
