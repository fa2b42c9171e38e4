//! The end of a process that has run an application.

use std::{
    ffi::CString,
    io::Write as _,
    time::{Duration, Instant},
};

use pyo3::{
    exceptions::{PyKeyboardInterrupt, PySystemExit},
    prelude::*,
    types::PyDict,
};

use tower_prefork::LogStream;

use crate::validate;

/// Ends the process as Python does, but for the interpreter's end, which a thread that is stuck in the
/// application could hold up or break: its threads are joined until the deadline, its exit functions run, its
/// garbage is collected, its output is written. Without a deadline, when the start has failed, nothing is
/// waited for.
pub(super) fn exit(py: Python<'_>, code: u8, deadline: Option<Instant>) -> PyResult<()> {
    // The server is gone, and with it who obeys the operator: a second signal ends what takes too long here.
    let signal = py.import("signal")?;
    for name in ["SIGTERM", "SIGINT"] {
        let arguments = (signal.getattr(name)?, signal.getattr("SIG_DFL")?);
        signal.call_method1("signal", arguments)?;
    }
    let deadline = deadline.unwrap_or_else(Instant::now);
    let left = join_threads(py, deadline.saturating_duration_since(Instant::now()));
    match left {
        Ok(left) if left.is_empty() => {}
        Ok(left) => tracing::warn!(
            threads = left.join(", "),
            "threads of the application still run at the deadline of the stop; they are cut"
        ),
        // One of what `threading` calls before it joins.
        Err(error) => error.write_unraisable(py, None),
    }
    py.import("atexit")?.call_method0("_run_exitfuncs")?;
    // The pool's threads have kept it in cycles: Django's connections to databases, which are to be closed.
    py.import("gc")?.call_method0("collect")?;
    for stream in ["stdout", "stderr"] {
        let stream = py.import("sys")?.getattr(stream)?;
        if stream.is_none() {
            continue;
        }
        // One of the application's own that cannot be written is no reason to end otherwise.
        if let Err(error) = stream.call_method0("flush") {
            tracing::debug!(%error, "cannot flush a standard stream");
        }
    }
    // It does not fail.
    let _ = LogStream::server_log().flush();
    std::process::exit(i32::from(code));
}

/// Gives the names of the threads that still run after this time.
fn join_threads(py: Python<'_>, time: Duration) -> PyResult<Vec<String>> {
    let code = CString::new(include_str!("exit.py")).unwrap_or_default();
    if validate::monkey_patch(py)?.is_some() {
        // They wait for an event loop that nobody runs any more.
        return Ok(Vec::new());
    }
    let globals = PyDict::new(py);
    py.run(&code, Some(&globals), None)?;
    let Some(join) = globals.get_item("join_threads")? else {
        return Ok(Vec::new());
    };
    join.call1((time.as_secs_f64(),))?.extract()
}

/// The exit code that Python gives a program which this exception ends.
pub(super) fn code_of(py: Python<'_>, error: &PyErr) -> u8 {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return 130;
    }
    if !error.is_instance_of::<PySystemExit>(py) {
        return 1;
    }
    match error.value(py).getattr("code") {
        Ok(code) if code.is_none() => 0,
        // As the system does with a larger one.
        Ok(code) => code
            .extract::<i64>()
            .map_or(1, |code| code.to_le_bytes()[0]),
        Err(_) => 1,
    }
}
