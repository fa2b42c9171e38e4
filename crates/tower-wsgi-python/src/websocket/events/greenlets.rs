//! Handling events in a greenlet: a script calls the methods, since no native code may be on the stack when they switch.

use std::{
    ffi::CString,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple},
};

use super::{
    dispatcher::{Dispatcher, Job},
    handler::Handler,
    socket::EventSocket,
    turn::{HandlerCall, MAX_EVENTS},
};

/// The function of the script.
static SCRIPT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The events that one greenlet handles: the job of a script.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct GreenletEvents {
    job: Mutex<GreenletJob>,
}

struct GreenletJob {
    /// `None` after the last event.
    job: Option<Job>,
    /// The socket that has its turn.
    socket: Option<(Arc<EventSocket>, Arc<Handler>)>,
    /// How many of its events were handled.
    handled: usize,
    /// The call that the script makes.
    call: Option<HandlerCall>,
}

/// What the script has to call, to handle events in the greenlet in which it runs.
pub(super) fn work(py: Python<'_>, dispatcher: &Arc<Dispatcher>) -> PyResult<Py<PyAny>> {
    let job = GreenletJob {
        job: Some(Job::new(dispatcher)),
        socket: None,
        handled: 0,
        call: None,
    };
    let events = Bound::new(
        py,
        GreenletEvents {
            job: Mutex::new(job),
        },
    )?;
    let script = SCRIPT.get_or_try_init(py, || load_script(py))?;
    let functools = py.import(intern!(py, "functools"))?;
    let work = functools.call_method1(intern!(py, "partial"), (script, events))?;
    Ok(work.unbind())
}

fn load_script(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let globals = PyDict::new(py);
    let code = CString::new(include_str!("greenlets.py")).unwrap_or_default();
    py.run(&code, Some(&globals), None)?;
    let handle = globals.as_any().get_item("handle")?;
    Ok(handle.unbind())
}

#[pymethods]
impl GreenletEvents {
    /// The method for the next event, and its arguments; `None` after the last one.
    fn next<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        let mut job = self.job();
        loop {
            let Some((socket, handler)) = job.socket.clone() else {
                if !job.take_socket() {
                    return Ok(None);
                }
                continue;
            };
            if job.handled >= MAX_EVENTS {
                job.socket = None;
                socket.end_turn();
                continue;
            }
            let Some(event) = socket.next_event() else {
                job.socket = None;
                continue;
            };
            job.handled += 1;
            let call = HandlerCall::new(&event);
            if let Some(found) = handler.method(py, &event)? {
                job.call = Some(call);
                return Ok(Some(found));
            }
            job.end_call(py, call, Ok(()));
        }
    }

    /// The method has returned.
    fn returned(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut job = self.job();
        let Some(call) = job.call.take() else {
            return Ok(());
        };
        if Handler::is_awaitable(result)? {
            // The turn ends when the result has come.
            if let Some((socket, _)) = job.socket.take() {
                drop(job);
                Dispatcher::wait_for(result, &socket, call);
            }
        } else {
            job.end_call(result.py(), call, Ok(()));
        }
        Ok(())
    }

    /// The method has raised an exception.
    fn failed(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        let mut job = self.job();
        if let Some(call) = job.call.take() {
            job.end_call(py, call, Err(PyErr::from_value(error)));
        }
    }
}

impl GreenletEvents {
    /// One greenlet uses it, so nothing waits.
    fn job(&self) -> MutexGuard<'_, GreenletJob> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GreenletJob {
    /// The next socket has its turn. `false` if there is none, or if the job has taken its time.
    fn take_socket(&mut self) -> bool {
        let Some(socket) = self.job.as_ref().and_then(Job::next) else {
            self.job = None;
            return false;
        };
        self.handled = 0;
        self.socket = socket.handler().map(|handler| (socket, handler));
        true
    }

    fn end_call(&mut self, py: Python<'_>, call: HandlerCall, result: PyResult<()>) {
        if let Some((socket, _)) = &self.socket {
            call.returned(py, socket, result);
        }
        if call.is_last {
            self.socket = None;
        }
    }
}

impl Drop for GreenletJob {
    fn drop(&mut self) {
        // The greenlet has ended early.
        if let Some((socket, _)) = self.socket.take() {
            socket.end_turn();
        }
    }
}
