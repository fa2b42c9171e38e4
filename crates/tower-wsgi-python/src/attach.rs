//! Attaching the threads of a pool to the interpreter, with one Python thread state for each thread's life.
//!
//! PyO3 attaches a thread for the duration of one closure and creates a new thread state each time. What an
//! application keeps in `threading.local`, such as Django's database connections, would be lost after each
//! request. A thread of the pool attaches before it takes a job, detaches while it waits, and attaches again
//! with the same thread state. That does not fit a closure, so this module calls the C API.
#![allow(unsafe_code)]

use std::{cell::Cell, marker::PhantomData, ptr, thread};

use pyo3::{ffi, prelude::*};

use crate::scheduling;

thread_local! {
    static THREAD_STATE: ThreadState = const {
        ThreadState {
            detached: Cell::new(ptr::null_mut()),
            is_attached: Cell::new(false),
        }
    };
}

struct ThreadState {
    /// The Python thread state while this thread is detached; null before the thread is attached for the first time.
    detached: Cell<*mut ffi::PyThreadState>,
    is_attached: Cell<bool>,
}

/// While it exists, its thread is attached to the interpreter.
#[derive(Debug)]
pub(crate) struct AttachGuard(
    // Neither `Send` nor `Sync`: it belongs to its thread.
    PhantomData<*const ()>,
);

impl AttachGuard {
    /// Attaches this thread, and waits for the interpreter's lock. The thread must not be attached.
    pub(crate) fn acquire() -> Self {
        THREAD_STATE.with(|thread| {
            let state = thread.detached.replace(ptr::null_mut());
            if state.is_null() {
                // SAFETY: the interpreter is initialised (there is a callable to run). The matching
                // release is `ThreadState::drop`.
                unsafe { ffi::PyGILState_Ensure() };
                register_thread();
            } else {
                // SAFETY: `state` is this thread's, from `PyEval_SaveThread` in `drop` below, and it was
                // not restored since: it was taken out of its cell.
                unsafe { ffi::PyEval_RestoreThread(state) };
            }
            thread.is_attached.set(true);
        });
        Self(PhantomData)
    }

    /// Attaches a thread of the pool, which runs at a lower priority than the event loop.
    pub(crate) fn acquire_in_pool() -> Self {
        let is_new = THREAD_STATE.with(|thread| thread.detached.get().is_null());
        let guard = Self::acquire();
        if is_new {
            scheduling::run_as_batch();
        }
        guard
    }

    /// Whether this thread has a guard.
    pub(crate) fn is_held() -> bool {
        THREAD_STATE.with(|thread| thread.is_attached.get())
    }
}

/// Gives this thread a Python thread state for the rest of its life: what `threading.local` keeps stays, and
/// PyO3 need not create one for each call.
#[cfg(feature = "command")]
pub(crate) fn keep_thread_state() {
    if THREAD_STATE.with(|thread| thread.detached.get().is_null() && !thread.is_attached.get()) {
        drop(AttachGuard::acquire());
    }
}

/// Leaves the Python thread state of this thread, which is about to end, to the end of the process. A thread that has run
/// greenlets cannot delete it: their library has deleted what it keeps for the thread before.
pub(crate) fn leak_thread_state() {
    THREAD_STATE.with(|thread| thread.detached.set(ptr::null_mut()));
}

impl Drop for AttachGuard {
    fn drop(&mut self) {
        THREAD_STATE.with(|thread| {
            thread.is_attached.set(false);
            scheduling::resume_batch();
            // SAFETY: this thread is attached, with the state that `acquire` made or restored: the value
            // never leaves its thread, and what runs Python in between restores what it changes.
            thread.detached.set(unsafe { ffi::PyEval_SaveThread() });
        });
    }
}

impl Drop for ThreadState {
    fn drop(&mut self) {
        let state = self.detached.get();
        // SAFETY: no condition.
        if state.is_null() || unsafe { ffi::Py_IsInitialized() } == 0 {
            return;
        }
        // SAFETY: the state is this thread's and was saved by `AttachGuard::drop`. The thread's pool ends
        // before the interpreter does. The release belongs to the ensure in `acquire`: with it the state,
        // and what the application has kept for this thread, is gone.
        unsafe {
            ffi::PyEval_RestoreThread(state);
        }
        // If it fails, Python keeps an object that is never used again.
        let _ = Python::attach(unregister_thread);
        // SAFETY: as above.
        unsafe {
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED);
        }
    }
}

/// Registers this thread, which is attached, with Python's `threading`.
fn register_thread() {
    if let Err(error) = Python::attach(set_current_thread) {
        tracing::warn!(%error, "cannot register a thread of the server with Python's threading module");
    }
}

/// Sets up `threading.current_thread()`: the thread's name, the functions that the application has set by
/// `threading.settrace` and `threading.setprofile`, and `daemon = False`, which threads that it starts inherit.
///
/// `threading` has objects only for the threads that it starts itself. For any other thread it creates one on
/// demand, a daemon, because that cannot be joined when the interpreter ends. The server joins its threads before.
fn set_current_thread(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let object = threading.call_method0("current_thread")?;
    if let Some(name) = thread::current().name() {
        object.setattr("name", name)?;
    }
    // The property `daemon` cannot be set on a running thread.
    object.setattr("_daemonic", false)?;
    let sys = py.import("sys")?;
    for (get, set) in [("gettrace", "settrace"), ("getprofile", "setprofile")] {
        let function = threading.call_method0(get)?;
        if !function.is_none() {
            sys.call_method1(set, (function,))?;
        }
    }
    Ok(())
}

/// Removes this thread, which is about to end, from Python's `threading`. Before Python 3.12 the entry would stay,
/// and the next thread with the same identifier would be mistaken for this one.
fn unregister_thread(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("threading")?.call_method0("current_thread")?;
    thread.call_method0("_delete").map(drop)
}
