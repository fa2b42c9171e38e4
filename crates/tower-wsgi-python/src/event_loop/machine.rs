//! What the script of a driver sees of the server.

use std::{
    os::fd::RawFd,
    sync::{Arc, OnceLock},
    time::Instant,
};

use pyo3::{intern, prelude::*};

use super::{call::Call, commands::LoopCommand, exchange::Exchange, handle::LoopState};

/// The server, for the script of a driver.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct Machine {
    state: Arc<LoopState>,
    driver: OnceLock<Py<PyAny>>,
}

impl Machine {
    pub(super) fn new(state: &Arc<LoopState>) -> Self {
        Self {
            state: Arc::clone(state),
            driver: OnceLock::new(),
        }
    }

    /// The instance of the script's class. To be called once, before the loop runs.
    pub(super) fn set_driver(&self, driver: Py<PyAny>) {
        let _ = self.driver.set(driver);
    }

    fn obey(&self, driver: &Bound<'_, PyAny>, command: LoopCommand) -> PyResult<()> {
        let py = driver.py();
        match command {
            LoopCommand::Start(new) => {
                // What was not called has nothing to close.
                if new.is_unwanted() {
                    return Ok(());
                }
                let exchange = Bound::new(py, Exchange::new(new, &self.state))?;
                let task = driver.call_method1(intern!(py, "respond"), (&exchange,));
                match task {
                    Ok(task) => exchange.get().set_task(task.unbind()),
                    Err(error) => exchange.get().broken(py, &error),
                }
            }
            LoopCommand::Call(new) => {
                let call = Bound::new(py, Call::new(new))?;
                let task = driver.call_method1(intern!(py, "perform"), (&call,))?;
                call.get().set_task(task.unbind());
            }
            LoopCommand::Cancel(channel) => {
                drop(channel.take_waiter());
                if let Some(task) = channel.take_task() {
                    driver.call_method1(intern!(py, "cancel"), (task,))?;
                }
            }
            LoopCommand::Room(channel) => {
                if let Some(waiter) = channel.take_waiter() {
                    driver.call_method1(intern!(py, "notify"), (waiter,))?;
                }
            }
            LoopCommand::Tick => self.state.ticked(),
            LoopCommand::Stop(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                driver.call_method1(intern!(py, "stop"), (left.as_secs_f64(),))?;
            }
        }
        Ok(())
    }
}

#[pymethods]
impl Machine {
    /// The file descriptor that is readable when there are commands.
    fn fileno(&self) -> RawFd {
        self.state.commands.fd()
    }

    /// Obeys all commands.
    fn drain(&self, py: Python<'_>) {
        let Some(driver) = self.driver.get() else {
            return;
        };
        let driver = driver.bind(py);
        for command in self.state.commands.take() {
            if let Err(error) = self.obey(driver, command) {
                error.write_unraisable(py, Some(driver));
            }
        }
    }

    /// Starts the thread of the loop, if it does not run yet. For a loop that is used from another thread.
    fn start(&self) {
        self.state.start_thread();
    }

    /// Logs the tasks that are left at the deadline.
    #[staticmethod]
    fn tasks_left(count: usize, names: &str, cancelled: bool) {
        if cancelled {
            tracing::warn!(
                count,
                names,
                "tasks of the application ignore their cancellation at the shutdown deadline; ending them"
            );
        } else {
            tracing::warn!(
                count,
                names,
                "tasks of the application are still running at the shutdown deadline; cancelling them"
            );
        }
    }
}
