//! A call that a loop runs, and that is not a request.

use std::sync::{Mutex, PoisonError};

use pyo3::{exceptions::PyRuntimeError, prelude::*};

use super::tasks::Permit;

/// Runs on the thread of the loop. An awaitable that it returns is awaited there.
pub(super) type Function = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Gets the result on the thread of the loop.
pub(super) type Done = Box<dyn FnOnce(Python<'_>, PyResult<Py<PyAny>>) + Send>;

/// A call that was queued.
pub(super) struct NewCall {
    /// The `contextvars` context of the call; that of the loop otherwise.
    pub(super) context: Option<Py<PyAny>>,
    pub(super) function: Function,
    pub(super) done: Done,
    pub(super) permit: Permit,
}

/// A call, for the task that runs it.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct Call {
    context: Option<Py<PyAny>>,
    function: Mutex<Option<Function>>,
    done: Mutex<Option<Done>>,
    /// A loop keeps no reference to its tasks. Dropped at the end of the call.
    task: Mutex<Option<Py<PyAny>>>,
    _permit: Permit,
}

impl Call {
    pub(super) fn new(new: NewCall) -> Self {
        Self {
            context: new.context,
            function: Mutex::new(Some(new.function)),
            done: Mutex::new(Some(new.done)),
            task: Mutex::new(None),
            _permit: new.permit,
        }
    }

    /// The task that runs it.
    pub(super) fn set_task(&self, task: Py<PyAny>) {
        let is_running = self.done.lock().is_ok_and(|done| done.is_some());
        if is_running && let Ok(mut slot) = self.task.lock() {
            *slot = Some(task);
        }
    }

    fn end(&self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        let done = take(&self.done);
        if let Some(done) = done {
            done(py, result);
        }
        drop(take(&self.task));
    }
}

#[pymethods]
impl Call {
    /// The `contextvars` context in which the task runs; `None` for a copy of the current one.
    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.context
            .as_ref()
            .map(|context| context.bind(py).clone())
    }

    /// Calls the function, and returns what it returns. To be called once.
    fn call(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match take(&self.function) {
            Some(function) => function(py),
            None => Err(PyRuntimeError::new_err("the call was taken already")),
        }
    }

    /// The result, awaited.
    fn finish(&self, py: Python<'_>, result: Py<PyAny>) {
        self.end(py, Ok(result));
    }

    /// The exception that was raised.
    fn fail(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        self.end(py, Err(PyErr::from_value(error)));
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
