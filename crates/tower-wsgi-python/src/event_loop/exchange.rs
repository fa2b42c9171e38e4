//! A request as the driver of a loop sees it.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError},
    prelude::*,
    types::{PyIterator, PyList, PyTuple},
};

use super::{
    handle::{LoopState, Work},
    pieces::{PieceSender, Sent},
    tasks::Permit,
};
use crate::{
    exception::WsgiErrors,
    gate::Place,
    piece::{is_awaitable, iterate, to_bytes},
};

/// A request that was queued.
pub(super) struct NewExchange {
    pub(super) work: Work,
    pub(super) sender: PieceSender,
    pub(super) errors: Arc<WsgiErrors>,
    pub(super) permit: Permit,
    pub(super) place: Option<Place>,
}

impl NewExchange {
    /// Whether its client has left before the application was called.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(self.work, Work::Call(_)) && self.sender.0.is_gone()
    }
}

/// A request, for the task that responds to it: what to call, and where to send the pieces.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct Exchange {
    /// `None` once the task has taken it.
    work: Mutex<Option<Work>>,
    context: Option<Py<PyAny>>,
    sender: PieceSender,
    errors: Arc<WsgiErrors>,
    state: Arc<LoopState>,
    /// Released when the task has ended.
    permit: Mutex<Option<(Permit, Option<Place>)>>,
}

impl Exchange {
    pub(super) fn new(mut new: NewExchange, state: &Arc<LoopState>) -> Self {
        let context = match &mut new.work {
            Work::Call(_) => None,
            Work::Result { context, .. } => context.take(),
        };
        Self {
            work: Mutex::new(Some(new.work)),
            context,
            sender: new.sender,
            errors: new.errors,
            state: Arc::clone(state),
            permit: Mutex::new(Some((new.permit, new.place))),
        }
    }

    /// The driver could not start a task.
    pub(super) fn broken(&self, py: Python<'_>, error: &PyErr) {
        self.sender.fail(self.errors.report(py, error));
    }

    /// The task that responds, which is cancelled if the client leaves.
    pub(super) fn set_task(&self, task: Py<PyAny>) {
        self.sender.0.set_task(task);
    }
}

#[pymethods]
impl Exchange {
    /// The `contextvars` context in which the task runs; `None` for a copy of the current one.
    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.context
            .as_ref()
            .map(|context| context.bind(py).clone())
    }

    /// Whether the response is no longer wanted.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.sender.0.is_gone()
    }

    /// Calls the application, and returns what it has returned. To be called once.
    fn call(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let work = self.work.lock();
        let work = work.unwrap_or_else(PoisonError::into_inner).take();
        match work {
            Some(Work::Call(call)) => call(py),
            Some(Work::Result { result, .. }) => Ok(result),
            None => Err(PyRuntimeError::new_err("the request was taken already")),
        }
    }

    /// Sends a piece. Returns whether there is room for another.
    fn send(&self, piece: &Bound<'_, PyAny>) -> PyResult<bool> {
        match self.sender.send(to_bytes(piece)?) {
            Sent::Room => Ok(true),
            Sent::Full => Ok(false),
            Sent::Refused => Err(too_much()),
            Sent::Gone => Err(self.state.cancelled(piece.py())),
        }
    }

    /// Has `waiter` passed to the driver's `notify` when there is room. Returns whether it has to wait.
    fn wait_for_room(&self, waiter: Py<PyAny>) -> bool {
        self.sender.wait_for_room(waiter).is_ok()
    }

    /// Sends the whole body and ends the response, if `body` is a list or a tuple of one piece: then the length of the
    /// response is known. Returns whether it is.
    fn send_whole(&self, body: &Bound<'_, PyAny>) -> PyResult<bool> {
        let piece = if let Ok(list) = body.cast_exact::<PyList>() {
            (list.len() == 1).then(|| list.get_item(0))
        } else if let Ok(tuple) = body.cast_exact::<PyTuple>() {
            (tuple.len() == 1).then(|| tuple.get_item(0))
        } else {
            None
        };
        let Some(piece) = piece.transpose()? else {
            return Ok(false);
        };
        if is_awaitable(&piece)? {
            return Ok(false);
        }
        self.sender.finish(Some(to_bytes(&piece)?));
        Ok(true)
    }

    /// An iterator over `body`; an error that says what to do if there is none.
    #[staticmethod]
    fn iterate<'py>(body: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
        iterate(body)
    }

    /// Ends the response.
    fn finish(&self) {
        self.sender.finish(None);
    }

    /// The application has raised `error`: the response becomes a 500, or breaks off.
    fn fail(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        let error = PyErr::from_value(error);
        if self.is_cancelled() && self.state.is_cancellation(py, &error) {
            self.sender.finish(None);
            return;
        }
        self.sender.fail(self.errors.report(py, &error));
    }

    /// The task has ended. The application may keep this object for longer, as a part of a traceback for example.
    fn release(&self) {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        drop(permit.take());
    }

    /// The application has raised `error` when its body was closed.
    fn close_failed(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        let error = self.errors.report(py, &PyErr::from_value(error));
        tracing::error!(error = %error, "the application failed in close()");
    }
}

/// What waits for room on behalf of `write`.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct WriteRoom(PieceSender);

impl WriteRoom {
    pub(super) fn new(sender: &PieceSender) -> Self {
        Self(sender.clone())
    }
}

#[pymethods]
impl WriteRoom {
    /// As that of [`Exchange`].
    fn wait_for_room(&self, waiter: Py<PyAny>) -> bool {
        self.0.wait_for_room(waiter).is_ok()
    }
}

/// The error of an application that writes without waiting for room.
pub(super) fn too_much() -> PyErr {
    PyOSError::new_err(
        "8 MiB were written that the client has not taken: await what write() returns before the next call",
    )
}
