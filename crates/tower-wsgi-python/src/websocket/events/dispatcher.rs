//! The dispatcher of an application: which sockets have events to handle, and the jobs that handle them.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyRuntimeError, intern, prelude::*};
use tokio::runtime::Handle;
use tower_wsgi::{Rejection, blocking::BlockingPool};

use super::{
    greenlets,
    socket::EventSocket,
    turn::{self, HandlerCall},
};
use crate::{event_loop::EventLoop, exception::WsgiErrors};

/// The time after which a job makes room for other jobs of its pool.
const MAX_JOB: Duration = Duration::from_millis(4);

/// The delay after which a job is submitted again when the pool's queue is full.
const RETRY: Duration = Duration::from_millis(20);

/// Where handlers run.
pub(crate) enum Runner {
    /// On the event loop, as the application.
    Inline,
    /// On the application's pool.
    Pool { pool: BlockingPool, threads: usize },
    /// On the Python event loop, as the application.
    EventLoop(EventLoop),
    /// In greenlets of this hub, as the application.
    Greenlets { hub: EventLoop, count: usize },
}

impl Runner {
    /// The number of jobs that handle events at once.
    fn max_jobs(&self) -> usize {
        match self {
            Self::Inline | Self::EventLoop(_) => 1,
            Self::Pool { threads, .. } => *threads,
            Self::Greenlets { count, .. } => *count,
        }
    }
}

/// The dispatcher of an application.
pub(crate) struct Dispatcher {
    ready: Mutex<Ready>,
    runner: OnceLock<Runner>,
    runtime: OnceLock<Handle>,
    errors: Arc<WsgiErrors>,
}

#[derive(Default)]
struct Ready {
    /// Each socket is in it at most once.
    sockets: VecDeque<Arc<EventSocket>>,
    /// The jobs that were submitted and have not ended.
    jobs: usize,
    /// Those of them that have not begun. The others may wait for something in a handler.
    starting: usize,
}

impl Dispatcher {
    /// `errors` gets the tracebacks of handlers.
    pub(crate) fn new(errors: Arc<WsgiErrors>) -> Self {
        Self {
            ready: Mutex::default(),
            runner: OnceLock::new(),
            runtime: OnceLock::new(),
            errors,
        }
    }

    /// Sets where handlers run, once.
    pub(crate) fn run_on(&self, runner: Runner) {
        let is_first = self.runner.set(runner).is_ok();
        debug_assert!(is_first, "the handlers of an application run in one place");
    }

    /// Sets the event loop, if it is not set.
    pub(super) fn run_in(&self, runtime: &Handle) {
        self.runtime.get_or_init(|| runtime.clone());
    }

    /// A socket has events to handle. It has the turn.
    pub(super) fn push(self: &Arc<Self>, socket: Arc<EventSocket>) {
        let mut ready = self.ready();
        ready.sockets.push_back(socket);
        self.submit(ready);
    }

    /// Submits another job, if there are sockets for it.
    fn submit(self: &Arc<Self>, mut ready: MutexGuard<'_, Ready>) {
        let (Some(runner), Some(runtime)) = (self.runner.get(), self.runtime.get()) else {
            return;
        };
        if ready.jobs >= runner.max_jobs() || ready.starting >= ready.sockets.len() {
            return;
        }
        ready.jobs += 1;
        ready.starting += 1;
        drop(ready);
        let dispatcher = Arc::clone(self);
        match runner {
            Runner::Inline => {
                runtime.spawn(async move { Python::attach(|py| dispatcher.handle_events(py)) });
            }
            Runner::Pool { pool, .. } => {
                let pool = pool.clone();
                runtime.spawn(async move { dispatcher.work_on(&pool).await });
            }
            Runner::EventLoop(event_loop) => {
                let event_loop = event_loop.clone();
                let work = |py: Python<'_>, dispatcher: Arc<Self>| {
                    dispatcher.handle_events(py);
                    Ok(py.None())
                };
                runtime.spawn(async move { dispatcher.work_in(&event_loop, work).await });
            }
            Runner::Greenlets { hub, .. } => {
                let hub = hub.clone();
                let work = |py: Python<'_>, dispatcher: Arc<Self>| greenlets::work(py, &dispatcher);
                runtime.spawn(async move { dispatcher.work_in(&hub, work).await });
            }
        }
    }

    async fn work_on(self: &Arc<Self>, pool: &BlockingPool) {
        loop {
            let dispatcher = Arc::clone(self);
            let job = pool.run(move || Python::attach(|py| dispatcher.handle_events(py)));
            match job.await {
                Ok(()) => return,
                Err(Rejection::Draining) => {
                    tracing::debug!("the pool has ended; no more events of WebSockets are handled");
                    return;
                }
                // The sockets wait, and their clients are not read from.
                Err(rejection) => {
                    tracing::debug!(
                        error = &rejection as &dyn Error,
                        "events of WebSockets wait"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn work_in(
        self: &Arc<Self>,
        event_loop: &EventLoop,
        work: impl FnOnce(Python<'_>, Arc<Self>) -> PyResult<Py<PyAny>> + Copy + Send + 'static,
    ) {
        let submit = || {
            let dispatcher = Arc::clone(self);
            event_loop.call(move |py| work(py, dispatcher), |_, _| {})
        };
        while !submit() {
            tracing::debug!("events of WebSockets wait for room in the event loop");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// One job: sockets have their turns.
    fn handle_events(self: &Arc<Self>, py: Python<'_>) {
        let job = Job::new(self);
        while let Some(socket) = job.next() {
            turn::run(py, &socket);
        }
    }

    fn pop(&self) -> Option<Arc<EventSocket>> {
        self.ready().sockets.pop_front()
    }

    /// Awaits the result of an asynchronous method, on the event loop of the process.
    pub(super) fn wait_for(
        awaitable: &Bound<'_, PyAny>,
        socket: &Arc<EventSocket>,
        call: HandlerCall,
    ) {
        let py = awaitable.py();
        let event_loop = match EventLoop::asyncio(py) {
            Ok(event_loop) => event_loop,
            Err(error) => return call.awaited(py, socket, Err(error)),
        };
        let (result, waiting) = (awaitable.clone().unbind(), Arc::clone(socket));
        let done = move |py: Python<'_>, result: PyResult<Py<PyAny>>| {
            call.awaited(py, &waiting, result.map(drop));
        };
        if !event_loop.call(move |_| Ok(result), done) {
            // Otherwise the interpreter warns about a coroutine that was never awaited.
            let _ = awaitable.call_method0(intern!(py, "close"));
            let error = PyRuntimeError::new_err("too many tasks run on the event loop");
            call.awaited(py, socket, Err(error));
        }
    }

    /// Reports an exception of a handler.
    pub(super) fn report(&self, py: Python<'_>, method: &str, error: &PyErr) {
        let error = self.errors.report(py, error);
        tracing::error!(
            error = &*error as &dyn Error,
            method,
            "a WebSocket handler failed",
        );
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that has been submitted. It ends when it is dropped.
pub(super) struct Job {
    dispatcher: Arc<Dispatcher>,
    since: Instant,
}

impl Job {
    /// The job begins.
    pub(super) fn new(dispatcher: &Arc<Dispatcher>) -> Self {
        dispatcher.ready().starting -= 1;
        Self {
            dispatcher: Arc::clone(dispatcher),
            since: Instant::now(),
        }
    }

    /// The socket that has its turn now. `None` if there is none, or if other jobs of the application are to run.
    pub(super) fn next(&self) -> Option<Arc<EventSocket>> {
        if self.since.elapsed() >= MAX_JOB {
            return None;
        }
        self.dispatcher.pop()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut ready = self.dispatcher.ready();
        ready.jobs -= 1;
        self.dispatcher.submit(ready);
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.ready();
        f.debug_struct("Dispatcher")
            .field("ready", &ready.sockets.len())
            .field("jobs", &ready.jobs)
            .finish_non_exhaustive()
    }
}
