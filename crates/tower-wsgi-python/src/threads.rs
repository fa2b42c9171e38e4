//! The server's threads as Python sees them: `threading.current_thread()` there.

use std::thread;

use pyo3::prelude::*;

/// Makes this thread one of Python's: with its name, with what the application has set by `threading.settrace` and
/// `threading.setprofile`, and not a daemon, because the threads that it starts inherit that.
///
/// `threading` has an object only for the threads that it starts itself, and makes one for others as they ask for
/// it: a daemon, as it cannot be joined at the interpreter's end. The server joins these threads before.
pub(crate) fn enter(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let object = threading.call_method0("current_thread")?;
    if let Some(name) = thread::current().name() {
        object.setattr("name", name)?;
    }
    // The property refuses a thread that runs.
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

/// Has Python forget this thread, which is about to end. Before 3.12 it would not: the next thread that the
/// system gives the same number would be taken for it.
pub(crate) fn leave(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("threading")?.call_method0("current_thread")?;
    thread.call_method0("_delete").map(drop)
}
