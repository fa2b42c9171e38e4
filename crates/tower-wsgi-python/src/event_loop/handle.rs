//! [`EventLoop`]: a loop, its thread, and its commands.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use pyo3::{
    exceptions::{PyBrokenPipeError, PyImportError, PyModuleNotFoundError, PyRuntimeError},
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::PyDict,
};
use tower_server_info::PoolStats;

use super::{
    call::{Done, Function, NewCall},
    commands::{CommandQueue, LoopCommand},
    driver::Driver,
    exchange::{NewExchange, WriteRoom, too_much},
    machine::Machine,
    pieces::{PieceSender, Pieces, Sent, pieces},
    tasks::{Permit, Tasks},
    watch::{self, Tick},
};
use crate::{
    attach::{self, AttachGuard},
    exception::WsgiErrors,
    gate::Place,
    pool_threads,
};

/// The loop of asyncio: one for the process, so that all its applications can wait for each other.
pub(super) static ASYNCIO: PyOnceLock<EventLoop> = PyOnceLock::new();

/// The hub of gevent: one for the process, which has one loop that can wait for child processes.
pub(super) static GEVENT: PyOnceLock<EventLoop> = PyOnceLock::new();

/// The counters of that of asyncio, for threads that are not attached to the interpreter.
static TASKS: OnceLock<Arc<Tasks>> = OnceLock::new();

/// The name of a driver's script in tracebacks.
pub(super) const SCRIPT: &str = "<event loop of tower-wsgi>";

const NO_GEVENT: &str = "greenlets need gevent, which is not installed: install it by \"pip install tower-wsgi[greenlet]\"";

/// A Python event loop on a thread of its own. Clones share it.
#[derive(Clone)]
pub(crate) struct EventLoop {
    pub(super) state: Arc<LoopState>,
    /// The application's loop.
    object: Arc<Py<PyAny>>,
}

/// What the threads of a loop share.
pub(super) struct LoopState {
    pub(super) driver: Driver,
    pub(super) commands: Arc<CommandQueue>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) tick: Mutex<Tick>,
    script: OnceLock<Script>,
    pub(super) thread: AtomicBool,
    /// Whether an application is being loaded, which takes as long as it takes.
    pub(super) is_loading: AtomicBool,
    pub(super) ended: Mutex<bool>,
    pub(super) on_end: Condvar,
}

/// The objects of the script.
struct Script {
    /// The instance of its class.
    driver: Py<PyAny>,
    cancelled: Py<PyAny>,
    /// Makes a loop that of the current thread.
    set_current: Py<PyAny>,
}

/// What a task runs for a request.
pub(crate) enum Work {
    /// The call of the application.
    Call(Function),
    /// The application was called on another thread, and has returned this.
    Result {
        result: Py<PyAny>,
        /// The `contextvars` context of the call.
        context: Option<Py<PyAny>>,
    },
}

/// A request that a loop has room for.
pub(crate) struct Admission<'a> {
    state: &'a Arc<LoopState>,
    sender: PieceSender,
    permit: Permit,
    place: Option<Place>,
}

impl EventLoop {
    /// The loop of asyncio, which is made if there is none. Its thread starts at the first use.
    pub(crate) fn asyncio(py: Python<'_>) -> PyResult<&'static Self> {
        ASYNCIO.get_or_try_init(py, || {
            let event_loop = Self::new(py, Driver::Asyncio)?;
            let _ = TASKS.set(Arc::clone(&event_loop.state.tasks));
            Ok(event_loop)
        })
    }

    /// The loop of asyncio, if it was made.
    pub(crate) fn existing_asyncio(py: Python<'_>) -> Option<&'static Self> {
        ASYNCIO.get(py)
    }

    /// The hub of gevent, which is made if there is none; to be called on Python's main thread. gevent replaces the
    /// blocking functions of the standard library then, if it has not before. Its thread starts at the first use.
    ///
    /// An error if gevent is not installed.
    pub(crate) fn gevent(py: Python<'_>) -> PyResult<&'static Self> {
        GEVENT.get_or_try_init(py, || {
            Self::new(py, Driver::Gevent).map_err(|error| {
                let is_missing = error.is_instance_of::<PyModuleNotFoundError>(py);
                if is_missing {
                    PyImportError::new_err(NO_GEVENT)
                } else {
                    error
                }
            })
        })
    }

    fn new(py: Python<'_>, driver: Driver) -> PyResult<Self> {
        let state = Arc::new(LoopState {
            driver,
            commands: Arc::new(CommandQueue::new()?),
            tasks: Arc::default(),
            tick: Mutex::default(),
            script: OnceLock::new(),
            thread: AtomicBool::new(false),
            is_loading: AtomicBool::new(false),
            ended: Mutex::new(false),
            on_end: Condvar::new(),
        });
        let globals = PyDict::new(py);
        globals.set_item("__name__", driver.name())?;
        globals.set_item("__file__", SCRIPT)?;
        let compile = py.import("builtins")?.getattr("compile")?;
        let code = compile.call1((driver.script(), SCRIPT, "exec"))?;
        let exec = py.import("builtins")?.getattr("exec")?;
        exec.call1((code, &globals))?;
        let machine = Bound::new(py, Machine::new(&state))?;
        let class = globals.as_any().get_item("Driver")?;
        let instance = class.call1((&machine,))?;
        let object = instance.getattr("loop")?.unbind();
        let cancelled = instance.getattr("cancelled")?.unbind();
        let set_current = instance.getattr("set_current")?.unbind();
        machine.get().set_driver(instance.clone().unbind());
        let _ = state.script.set(Script {
            driver: instance.unbind(),
            cancelled,
            set_current,
        });
        Ok(Self {
            state,
            object: Arc::new(object),
        })
    }

    /// The loop as the application uses it.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    /// Makes it the current loop of this thread.
    pub(crate) fn set_current(&self, py: Python<'_>) {
        let Some(set) = self.state.script.get().map(|script| &script.set_current) else {
            return;
        };
        if let Err(error) = set.bind(py).call1((self.object(py),)) {
            error.write_unraisable(py, None);
        }
    }

    /// Room for one request, and the pieces of its response. `None` at the limit of tasks, or if the system refuses a
    /// thread.
    pub(crate) fn admit(&self) -> Option<(Admission<'_>, Pieces)> {
        let state = &self.state;
        if !state.start_thread() {
            return None;
        }
        let permit = Tasks::admit(&state.tasks)?;
        let (sender, pieces) = pieces(&state.commands);
        let admission = Admission {
            state,
            sender,
            permit,
            place: None,
        };
        Some((admission, pieces))
    }

    /// Sends a piece of a response besides those of its task. Returns what to wait for if there is no room for another.
    pub(crate) fn write<'py>(
        &self,
        py: Python<'py>,
        sender: &PieceSender,
        piece: Bytes,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match sender.send(piece) {
            Sent::Room => Ok(None),
            Sent::Full => {
                let Some(script) = self.state.script.get() else {
                    return Ok(None);
                };
                let room = Bound::new(py, WriteRoom::new(sender))?;
                let driver = script.driver.bind(py);
                driver.call_method1(intern!(py, "room"), (room,)).map(Some)
            }
            Sent::Refused => Err(too_much()),
            Sent::Gone => Err(PyBrokenPipeError::new_err("the client has left")),
        }
    }

    /// The result of an awaitable, for which this thread waits. It is awaited in a copy of this thread's context.
    pub(crate) fn wait_for<'py>(
        &self,
        awaitable: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = awaitable.py();
        let (sender, receiver) = mpsc::sync_channel(1);
        let contextvars = py.import(intern!(py, "contextvars"))?;
        let context = contextvars.call_method0(intern!(py, "copy_context"))?;
        let awaitable = awaitable.clone().unbind();
        let function = move |_: Python<'_>| Ok(awaitable);
        let done = move |_: Python<'_>, result| {
            // The other end waits.
            let _ = sender.send(result);
        };
        if !self.call_in(Some(context.unbind()), function, done) {
            return Err(PyRuntimeError::new_err("the event loop has too many tasks"));
        }
        let result = py.detach(move || receiver.recv());
        let result = result.map_err(|_| PyRuntimeError::new_err("the event loop has ended"))?;
        result.map(|result| result.into_bound(py))
    }

    /// Calls a method of the driver without arguments.
    pub(crate) fn call_driver<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.state.script.get() {
            Some(script) => script.driver.bind(py).call_method0(name),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// Says whether an application is being loaded on the loop's thread. Meanwhile no request waits for the loop.
    pub(crate) fn set_loading(&self, is_loading: bool) {
        self.state.is_loading.store(is_loading, SeqCst);
    }

    /// Its figures, as those of a pool.
    pub(crate) fn stats(&self) -> PoolStats {
        figures(&self.state.tasks)
    }

    /// Runs `function` on the loop's thread. An awaitable that it returns is awaited there. `done` gets the result, on
    /// the same thread. Calls start in the order in which they were queued. Returns whether there is room.
    pub(crate) fn call(
        &self,
        function: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
        done: impl FnOnce(Python<'_>, PyResult<Py<PyAny>>) + Send + 'static,
    ) -> bool {
        self.call_in(None, function, done)
    }

    fn call_in(
        &self,
        context: Option<Py<PyAny>>,
        function: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
        done: impl FnOnce(Python<'_>, PyResult<Py<PyAny>>) + Send + 'static,
    ) -> bool {
        if !self.state.start_thread() {
            return false;
        }
        let Some(permit) = Tasks::admit(&self.state.tasks) else {
            return false;
        };
        let (function, done): (Function, Done) = (Box::new(function), Box::new(done));
        self.state.commands.push(LoopCommand::Call(NewCall {
            context,
            function,
            done,
            permit,
        }));
        true
    }
}

impl Admission<'_> {
    /// For what sends pieces besides the task.
    pub(crate) fn sender(&self) -> PieceSender {
        self.sender.clone()
    }

    /// The task holds the request's place until its end.
    pub(crate) fn hold(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Starts a task for the request. Dropping the pieces before the end cancels it.
    pub(crate) fn start(self, work: Work, errors: &Arc<WsgiErrors>) {
        self.state.commands.push(LoopCommand::Start(NewExchange {
            work,
            sender: self.sender,
            errors: Arc::clone(errors),
            permit: self.permit,
            place: self.place,
        }));
    }
}

impl LoopState {
    /// Starts the thread, if it was not started. Returns whether there is one.
    pub(super) fn start_thread(self: &Arc<Self>) -> bool {
        if self.thread.load(SeqCst) || self.thread.swap(true, SeqCst) {
            return true;
        }
        let (this, watched) = (Arc::clone(self), Arc::clone(self));
        let name = self.driver.name();
        let spawned = thread::Builder::new()
            .name(name.into())
            .stack_size(pool_threads::stack_size())
            .spawn(move || this.run());
        let spawned = spawned.and_then(|_| {
            thread::Builder::new()
                .name(format!("{name}-watch"))
                .spawn(move || watch::watch(&watched))
        });
        if let Err(error) = &spawned {
            tracing::error!(%error, "cannot start the thread of the {name} event loop");
            self.thread.store(false, SeqCst);
        }
        spawned.is_ok()
    }

    fn run(&self) {
        let guard = AttachGuard::acquire();
        Python::attach(|py| {
            let Some(script) = self.script.get() else {
                return;
            };
            if let Ok(mut tick) = self.tick.lock() {
                let ident = script.driver.bind(py).call_method0("thread_ident");
                tick.thread = ident.and_then(|ident| ident.extract()).ok();
            }
            if let Err(error) = script.driver.bind(py).call_method0("run") {
                tracing::error!(%error, "the {} event loop has failed", self.driver.name());
                error.write_unraisable(py, None);
            }
        });
        drop(guard);
        if self.driver.has_greenlets() {
            attach::leak_thread_state();
        }
        *lock(&self.ended) = true;
        self.on_end.notify_all();
    }

    /// Waits until the loop has ended. Returns whether it has.
    pub(super) fn has_ended_within(&self, time: Duration) -> bool {
        let ended = lock(&self.ended);
        if *ended {
            return true;
        }
        let waited = self.on_end.wait_timeout(ended, time);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The exception that ends a task whose response is no longer wanted.
    pub(super) fn cancelled(&self, py: Python<'_>) -> PyErr {
        let raised = self
            .script
            .get()
            .map(|script| script.cancelled.bind(py).call0());
        match raised {
            Some(Ok(error)) => PyErr::from_value(error),
            Some(Err(error)) => error,
            None => pyo3::exceptions::PyConnectionError::new_err("the client has left"),
        }
    }

    pub(super) fn is_cancellation(&self, py: Python<'_>, error: &PyErr) -> bool {
        let script = self.script.get();
        script.is_some_and(|script| {
            error
                .matches(py, script.cancelled.bind(py))
                .unwrap_or(false)
        })
    }

    pub(super) fn ticked(&self) {
        lock(&self.tick).ticked();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The figures of the loops, as those of a pool.
pub(crate) fn stats() -> PoolStats {
    TASKS.get().map(|tasks| figures(tasks)).unwrap_or_default()
}

fn figures(tasks: &Tasks) -> PoolStats {
    let mut stats = PoolStats::default();
    stats.tasks = tasks.running();
    stats.finished = tasks.finished();
    stats.refused = tasks.refused();
    stats
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventLoop")
            .field(&self.state.driver)
            .finish()
    }
}
