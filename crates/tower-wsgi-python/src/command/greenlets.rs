//! Loading an application that runs on greenlets, on their thread.
//!
//! gevent's monkey patching comes first, on Python's main thread. Then the application is imported on the thread on
//! which it will run: the greenlets that it starts, and the locks that they hold, belong to the hub of the thread that has
//! made them. Signal handlers that it sets meanwhile are set by the main thread, which is the only one that can, and runs
//! them.

use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyCFunction, PyDict, PyTuple},
};
use tokio::sync::oneshot;
use tower_prefork::{BoxError, WorkerContext};

use super::{main_thread::MainThreadHandle, serve::Load};
use crate::{event_loop::EventLoop, greenlets, validate};

const PATCHED_LATE: &str = "greenlets need gevent's monkey patching before the program imports anything else: begin it with \
     \"from gevent import monkey; monkey.patch_all()\"";

/// gevent's hub. To be called on Python's main thread.
///
/// The command has imported nothing that must be patched before. A program of the user, which serves callables, has.
pub(super) fn hub(py: Python<'_>, is_program: bool) -> Result<&'static EventLoop, BoxError> {
    if is_program && py.import("gevent").is_ok() && validate::monkey_patch(py)?.is_none() {
        return Err(PATCHED_LATE.into());
    }
    EventLoop::gevent(py).map_err(|error| error.value(py).to_string().into())
}

/// Loads the application on the hub's thread.
pub(super) async fn load(
    hub: &EventLoop,
    load: Load,
    worker: &WorkerContext,
    main_thread: &MainThreadHandle,
) -> Result<Py<PyAny>, BoxError> {
    let (sender, result) = oneshot::channel();
    let (worker, main_thread) = (worker.clone(), main_thread.clone());
    let load = move |py: Python<'_>| {
        let forwarding = forward_signal(py, &main_thread)?;
        let loaded = load(py, worker.config());
        py.import("signal")?.setattr("signal", forwarding)?;
        loaded
    };
    let done = |loaded: Result<Py<PyAny>, BoxError>| drop(sender.send(loaded));
    if !greenlets::load_on_hub(hub, load, done) {
        return Err("the thread of the greenlets cannot be started".into());
    }
    result.await?
}

/// The same where Python's main thread does not wait for calls: the application cannot set signal handlers.
pub(super) fn load_blocking(
    py: Python<'_>,
    hub: &EventLoop,
    load: Load,
    worker: &WorkerContext,
) -> Result<Py<PyAny>, BoxError> {
    let worker = worker.clone();
    greenlets::load(py, hub, move |py| load(py, worker.config()))?
}

/// Has `signal.signal` call itself in the main thread. Returns the function that it was.
fn forward_signal<'py>(
    py: Python<'py>,
    main_thread: &MainThreadHandle,
) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("signal")?;
    let original = module.getattr("signal")?;
    let (function, main_thread) = (original.clone().unbind(), main_thread.clone());
    let forward = move |arguments: &Bound<'_, PyTuple>, keywords: Option<&Bound<'_, PyDict>>| {
        let py = arguments.py();
        let function = function.clone_ref(py);
        let arguments = arguments.clone().unbind();
        let keywords = keywords.map(|keywords| keywords.clone().unbind());
        let call = move |py: Python<'_>| {
            let keywords = keywords.as_ref().map(|keywords| keywords.bind(py));
            function.call(py, arguments.bind(py), keywords)
        };
        let result = main_thread.call_and_wait(py, call);
        result.ok_or_else(|| PyRuntimeError::new_err("Python's main thread has ended"))?
    };
    let forward = PyCFunction::new_closure(py, None, None, forward)?;
    module.setattr("signal", forward)?;
    Ok(original)
}

/// Says how many connections to a database the greenlets of all workers may open.
pub(super) fn log_connections(worker: &WorkerContext, greenlets: usize) {
    let workers = worker.config().workers.count().max(1);
    if worker.slot() == 0 {
        tracing::info!(
            greenlets,
            workers,
            connections = greenlets * workers,
            "each greenlet may open a connection of its own to each database; allow this many connections there, and \
             twice as many during a reload"
        );
    }
}
