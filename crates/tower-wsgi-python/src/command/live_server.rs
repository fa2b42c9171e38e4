//! `LiveServer`: a server on threads of a Python process, for tests of an application.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError},
    prelude::*,
};
use tokio::sync::oneshot;

use super::{
    module::Server,
    serve::{self, ServerSetup},
};
use crate::pool_threads;

/// Interval for checking signals while it stops.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A server on threads of this process. It serves from its creation until `stop`.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct LiveServer {
    /// Its URLs, as in `http://127.0.0.1:41234`.
    #[pyo3(get)]
    addresses: Vec<String>,
    running: Mutex<Option<RunningServer>>,
}

struct RunningServer {
    /// Dropping it stops the server.
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<Result<usize, String>>,
    /// Disconnected when the server has ended.
    ended: Receiver<()>,
}

#[pymethods]
impl LiveServer {
    #[new]
    fn new(py: Python<'_>, server: &Server) -> PyResult<Self> {
        let setup = server.setup(py);
        let (addresses, running) = py.detach(|| start(setup)).map_err(PyOSError::new_err)?;
        Ok(Self {
            addresses,
            running: Mutex::new(Some(running)),
        })
    }

    /// Stops the server, and waits until it has ended. Returns the number of requests that were aborted at the deadline.
    ///
    /// Signal handlers of the program run while it waits. If one raises an exception, so does this; it can then be called
    /// again.
    fn stop(&self, py: Python<'_>) -> PyResult<usize> {
        let Some(mut running) = self.running().take() else {
            return Ok(0);
        };
        running.stop = None;
        while !py.detach(|| running.has_ended_within(POLL_INTERVAL)) {
            if let Err(error) = py.check_signals() {
                *self.running() = Some(running);
                return Err(error);
            }
        }
        py.detach(|| end(running.thread))
            .map_err(PyRuntimeError::new_err)
    }
}

impl LiveServer {
    fn running(&self) -> MutexGuard<'_, Option<RunningServer>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningServer {
    fn has_ended_within(&mut self, time: Duration) -> bool {
        self.ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }
}

/// Starts the server, and waits until it is ready. The error is one line for the user.
fn start(setup: ServerSetup) -> Result<(Vec<String>, RunningServer), String> {
    let (ready, addresses) = mpsc::sync_channel(1);
    let (ends, ended) = mpsc::sync_channel(0);
    let (stop, stopped) = oneshot::channel();
    let serve = move || {
        let _ends: mpsc::SyncSender<()> = ends;
        let served = serve::server(setup, None).run_until(
            // Resolves also when the sender is dropped.
            async { drop(stopped.await) },
            move |addresses| drop(ready.send(addresses)),
        );
        served.map_err(|error| error.to_string())
    };
    let thread = thread::Builder::new()
        .name("server".into())
        .stack_size(pool_threads::stack_size())
        .spawn(serve);
    let thread =
        thread.map_err(|error: io::Error| format!("cannot start the server's thread: {error}"))?;
    match addresses.recv() {
        Ok(addresses) => {
            let stop = Some(stop);
            let running = RunningServer {
                stop,
                thread,
                ended,
            };
            Ok((addresses, running))
        }
        Err(_) => Err(end(thread).err().unwrap_or_default()),
    }
}

fn end(thread: JoinHandle<Result<usize, String>>) -> Result<usize, String> {
    let panicked = |_| Err("the server's thread panicked; see standard error".to_owned());
    let served = thread.join().unwrap_or_else(panicked);
    pool_threads::wait_for_end();
    served
}
