//! Python on the threads of a pool: attached while there is work, with one Python thread state for the
//! thread's whole life.
//!
//! PyO3 attaches a thread for the time of one closure, and gives it a new thread state each time: what an
//! application keeps in `threading.local` (Django's database connections do) would be gone after each
//! request. A pool's thread waits for the interpreter's lock before it takes a job, gives it up while it
//! waits, and goes on with the same state. That is no closure, hence the calls of the C interface here.
#![allow(unsafe_code)]

use std::{cell::Cell, marker::PhantomData, ptr};

use pyo3::{Python, ffi};

use crate::{scheduling, threads};

thread_local! {
    static THREAD: Thread = const {
        Thread {
            state: Cell::new(ptr::null_mut()),
            attached: Cell::new(false),
        }
    };
}

struct Thread {
    /// This thread's Python state while it is not attached; null before it was for the first time.
    state: Cell<*mut ffi::PyThreadState>,
    attached: Cell<bool>,
}

/// This thread may run Python while it has this.
#[derive(Debug)]
pub(crate) struct Attached(
    // It belongs to its thread.
    PhantomData<*const ()>,
);

impl Attached {
    /// Waits for the interpreter. The thread must not be attached.
    pub(crate) fn wait() -> Self {
        THREAD.with(|thread| {
            let state = thread.state.replace(ptr::null_mut());
            if state.is_null() {
                // SAFETY: the interpreter is initialised (there is a callable to run). The matching
                // release is `Thread::drop`.
                unsafe { ffi::PyGILState_Ensure() };
                introduce();
            } else {
                // SAFETY: `state` is this thread's, from `PyEval_SaveThread` in `drop` below, and it was
                // not restored since: it was taken out of its cell.
                unsafe { ffi::PyEval_RestoreThread(state) };
            }
            thread.attached.set(true);
        });
        Self(PhantomData)
    }

    /// The same on a thread of the pool, which leaves the core to the event loop.
    pub(crate) fn wait_in_pool() -> Self {
        let is_new = THREAD.with(|thread| thread.state.get().is_null());
        let attached = Self::wait();
        if is_new {
            scheduling::run_as_batch();
        }
        attached
    }

    /// Whether this thread has one.
    pub(crate) fn is_here() -> bool {
        THREAD.with(|thread| thread.attached.get())
    }
}

/// Gives this thread a Python state of its own for the rest of its life: what `threading.local` keeps stays, and
/// PyO3 need not make one for each call.
#[cfg(feature = "command")]
pub(crate) fn adopt_thread() {
    if THREAD.with(|thread| thread.state.get().is_null() && !thread.attached.get()) {
        drop(Attached::wait());
    }
}

/// Tells Python's `threading` of this thread, which is attached.
fn introduce() {
    if let Err(error) = Python::attach(threads::enter) {
        tracing::warn!(%error, "Python's threading does not know a thread of the server");
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.attached.set(false);
            scheduling::resume_batch();
            // SAFETY: this thread is attached, with the state that `wait` made or restored: the value
            // never leaves its thread, and what runs Python in between restores what it changes.
            thread.state.set(unsafe { ffi::PyEval_SaveThread() });
        });
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let state = self.state.get();
        // SAFETY: no condition.
        if state.is_null() || unsafe { ffi::Py_IsInitialized() } == 0 {
            return;
        }
        // SAFETY: the state is this thread's and was saved by `Attached::drop`. The thread's pool ends
        // before the interpreter does. The release belongs to the ensure in `wait`: with it the state,
        // and what the application has kept for this thread, is gone.
        unsafe {
            ffi::PyEval_RestoreThread(state);
        }
        // Without it Python keeps an object that is of no use.
        let _ = Python::attach(threads::leave);
        // SAFETY: as above.
        unsafe {
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED);
        }
    }
}
