//! Exiting from a process that has run an application.

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

use crate::{event_loop, validate};

/// Exits as Python does, except that it does not finalize the interpreter, which a thread that is stuck in the
/// application could block or crash: threads are joined until the deadline, exit functions run, garbage is collected,
/// output is flushed. Without a deadline, after a failed start, it waits for nothing.
pub(super) fn exit(py: Python<'_>, code: u8, deadline: Option<Instant>) -> PyResult<()> {
    // The server has ended, so nothing else handles these signals: a second one ends the process at once.
    let signal = py.import("signal")?;
    for name in ["SIGTERM", "SIGINT"] {
        let arguments = (signal.getattr(name)?, signal.getattr("SIG_DFL")?);
        signal.call_method1("signal", arguments)?;
    }
    let deadline = deadline.unwrap_or_else(Instant::now);
    // Its tasks and the application's threads may wait for each other.
    event_loop::begin_stop(py, deadline);
    match join_threads(py, deadline.saturating_duration_since(Instant::now())) {
        Ok(running) if running.is_empty() => {}
        Ok(running) => tracing::warn!(
            threads = running.join(", "),
            "threads of the application are still running at the shutdown deadline; ending them"
        ),
        // A function that the application has registered with `threading` has failed.
        Err(error) => error.write_unraisable(py, None),
    }
    event_loop::wait_for_end(py, deadline);
    py.import("atexit")?.call_method0("_run_exitfuncs")?;
    // Objects of the pool's threads may be in reference cycles, such as Django's database connections, which are closed
    // when they are collected.
    py.import("gc")?.call_method0("collect")?;
    for stream in ["stdout", "stderr"] {
        let stream = py.import("sys")?.getattr(stream)?;
        if stream.is_none() {
            continue;
        }
        // A stream of the application that cannot be flushed does not change the exit code.
        if let Err(error) = stream.call_method0("flush") {
            tracing::debug!(%error, "cannot flush a standard stream");
        }
    }
    // It never fails.
    let _ = LogStream::server_log().flush();
    std::process::exit(i32::from(code));
}

/// Joins the threads of the application. Returns the names of those that are still running after the timeout.
fn join_threads(py: Python<'_>, timeout: Duration) -> PyResult<Vec<String>> {
    let code = CString::new(include_str!("exit.py")).unwrap_or_default();
    if validate::monkey_patch(py)?.is_some() {
        // Its greenlets wait for an event loop that no longer runs.
        return Ok(Vec::new());
    }
    let globals = PyDict::new(py);
    py.run(&code, Some(&globals), None)?;
    let Some(join) = globals.get_item("join_threads")? else {
        return Ok(Vec::new());
    };
    join.call1((timeout.as_secs_f64(),))?.extract()
}

/// The exit code of a Python program that ends with this exception.
pub(super) fn code_of(py: Python<'_>, error: &PyErr) -> u8 {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return 130;
    }
    if !error.is_instance_of::<PySystemExit>(py) {
        return 1;
    }
    match error.value(py).getattr("code") {
        Ok(code) if code.is_none() => 0,
        // Only the lowest byte counts, as for any exit code.
        Ok(code) => code
            .extract::<i64>()
            .map_or(1, |code| code.to_le_bytes()[0]),
        Err(_) => 1,
    }
}
