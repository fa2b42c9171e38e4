use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError},
    prelude::*,
};
use tokio::sync::oneshot;

use super::{
    module::Server,
    serve::{self, Charge},
};

/// A server on threads of this process. It serves from its construction until `stop`.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct LiveServer {
    /// Where it listens, as in `http://127.0.0.1:41234`.
    #[pyo3(get)]
    addresses: Vec<String>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<usize, String>>,
}

#[pymethods]
impl LiveServer {
    #[new]
    fn new(py: Python<'_>, server: &Server) -> PyResult<Self> {
        let charge = server.charge(py);
        let (addresses, running) = py.detach(|| start(charge)).map_err(PyOSError::new_err)?;
        Ok(Self {
            addresses,
            running: Mutex::new(Some(running)),
        })
    }

    /// Stops it, and waits until it has. Gives the number of requests that were cut at the deadline.
    fn stop(&self, py: Python<'_>) -> PyResult<usize> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running { stop, thread }) = running.take() else {
            return Ok(0);
        };
        drop(running);
        drop(stop);
        py.detach(|| end(thread)).map_err(PyRuntimeError::new_err)
    }
}

/// Starts the server, and waits until it is ready. The error is a line for the user.
fn start(charge: Charge) -> Result<(Vec<String>, Running), String> {
    let (ready, addresses) = mpsc::sync_channel(1);
    let (stop, stopped) = oneshot::channel();
    let serve = move || {
        let served = serve::server(charge).run_until(
            // Dropped is said, too.
            async { drop(stopped.await) },
            move |addresses| drop(ready.send(addresses)),
        );
        served.map_err(|error| error.to_string())
    };
    let thread = thread::Builder::new().name("server".into()).spawn(serve);
    let thread = thread.map_err(|error: io::Error| format!("cannot start a thread: {error}"))?;
    match addresses.recv() {
        Ok(addresses) => Ok((addresses, Running { stop, thread })),
        Err(_) => Err(end(thread).err().unwrap_or_default()),
    }
}

fn end(thread: JoinHandle<Result<usize, String>>) -> Result<usize, String> {
    let panicked = |_| Err("the server has panicked; see standard error".to_owned());
    thread.join().unwrap_or_else(panicked)
}
