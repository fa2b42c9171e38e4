//! [`PythonApp`], the tower service of a Python application, and its builder.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use pyo3::prelude::*;
use tower_server_info::{PoolMonitor, PoolStats};
use tower_service::Service;
use tower_wsgi::{
    Body, BoxError, blocking::BlockingPool, wait_for_body::WaitForBodyLayer, wsgi::WsgiService,
};

use crate::{
    callable::{Callable, LoopCallable},
    event_loop::{self, EventLoop},
    executor::{self, Executor, ResponseFuture, WebSocketPool},
    gate::MAX_QUEUED,
    greenlets::{self, Greenlets},
    load,
    load_error::LoadError,
    pool_threads,
    validate::{self, CallKind},
    websocket::Runner,
};

/// Maximum time for a whole request body to arrive. A server has a shorter timeout for a client that stalls.
const BODY_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Maximum time that a WebSocket request waits for a thread while others, whose sockets are not open yet, have them all.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// A Python WSGI application as a tower service.
///
/// See the [crate documentation](crate) for what it does, and what the client sees. Clones share the application and
/// its threads.
#[derive(Clone, Debug)]
pub struct PythonApp {
    executor: Executor,
    websockets: Option<WebSocketPool>,
}

impl PythonApp {
    /// Imports an application and serves it with the default settings, on 5 threads: see
    /// [`PythonAppBuilder::load`].
    ///
    /// # Errors
    ///
    /// As those of [`PythonAppBuilder::load`].
    pub fn load(path: &str) -> Result<Self, LoadError> {
        Self::builder().load(path)
    }

    /// Settings for an application.
    pub fn builder() -> PythonAppBuilder {
        PythonAppBuilder::default()
    }

    /// The figures of its pool of threads, or of its greenlets; `None` on the event loop.
    #[must_use]
    pub fn stats(&self) -> Option<PoolStats> {
        self.executor.stats()
    }
}

/// Monitoring by the server that the application runs in: the threads of its pool, and the tasks of the Python event
/// loop.
impl From<&PythonApp> for PoolMonitor {
    fn from(app: &PythonApp) -> Self {
        let app = app.clone();
        Self::new(move || {
            [app.executor.stats(), Some(event_loop::stats())]
                .into_iter()
                .flatten()
                .sum()
        })
    }
}

impl<B> Service<Request<B>> for PythonApp
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.executor.call(request, self.websockets.as_mut())
    }
}

/// The settings of a [`PythonApp`].
///
/// ```no_run
/// use tower_wsgi_python::PythonApp;
///
/// # fn load() -> Result<PythonApp, tower_wsgi_python::LoadError> {
/// let app = PythonApp::builder()
///     .thread_workers(10)
///     .script_name("/shop")
///     .load("mysite.wsgi:application")?;
/// # Ok(app)
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`load` makes the service"]
pub struct PythonAppBuilder {
    thread_workers: usize,
    max_queued: usize,
    websocket_threads: usize,
    greenlets: usize,
    max_body: u64,
    max_spooled: usize,
    max_spooled_response: usize,
    max_spooled_bodies: usize,
    script_name: String,
    multiprocess: bool,
    strict: bool,
}

impl Default for PythonAppBuilder {
    fn default() -> Self {
        Self {
            thread_workers: 5,
            max_queued: MAX_QUEUED,
            websocket_threads: 100,
            greenlets: 0,
            max_body: 1 << 30,
            max_spooled: 1 << 30,
            max_spooled_response: 64 << 20,
            max_spooled_bodies: 4 << 30,
            script_name: String::new(),
            multiprocess: false,
            strict: false,
        }
    }
}

impl PythonAppBuilder {
    /// The number of threads that call the application, 5 by default. With 0 it is called on the event loop: the
    /// fastest choice for an application that never blocks. An `async def` needs no threads.
    pub fn thread_workers(mut self, threads: usize) -> Self {
        self.thread_workers = threads;
        self
    }

    /// The number of threads that call the application with WebSocket requests, 100 by default: `GET` requests with
    /// `Upgrade: websocket` on a server that can upgrade connections. They have threads of their own, also with 0
    /// `thread_workers`, since libraries such as flask-sock hold a thread for as long as the socket is open. The threads
    /// are started on demand. The response to a request beyond this number of open sockets is 503. With 0, WebSocket
    /// requests are requests like any other, and applications find no socket: so it has to be for an application that two
    /// threads must not call at once.
    pub fn websocket_threads(mut self, threads: usize) -> Self {
        self.websocket_threads = threads;
        self
    }

    /// The number of greenlets that call the application in place of threads, 0 by default. All run on one thread, so an
    /// application that waits for sockets (databases, HTTP) serves as many requests at once; one that computes holds up all.
    /// At the limit requests wait as for a thread: the response is 503 if 1024 of them wait, or one for 30 seconds.
    ///
    /// Needs the Python package gevent, which replaces blocking functions of the standard library before the application is
    /// imported. Each greenlet may have its own connections to databases.
    pub fn greenlets(mut self, greenlets: usize) -> Self {
        self.greenlets = greenlets;
        self
    }

    /// The maximum number of requests that wait while all threads are busy, 1024 by default. The response to one more is
    /// 503.
    pub fn max_queued(mut self, requests: usize) -> Self {
        self.max_queued = requests;
        self
    }

    /// Maximum size of a request body in bytes, 1 GiB by default. The response to a larger one is 413.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Maximum size in bytes of the temporary files of all responses together, 1 GiB by default. At the limit, a thread
    /// waits until its client has read more.
    pub fn max_spooled(mut self, bytes: usize) -> Self {
        self.max_spooled = bytes;
        self
    }

    /// Maximum size in bytes of the temporary file of one response, 64 MiB by default. At the limit, its thread waits
    /// until the client has read more.
    pub fn max_spooled_response(mut self, bytes: usize) -> Self {
        self.max_spooled_response = bytes;
        self
    }

    /// Maximum size in bytes of the temporary files of all request bodies together, 4 GiB by default. At the limit, the
    /// response to a request whose body does not fit in memory is 503.
    pub fn max_spooled_bodies(mut self, bytes: usize) -> Self {
        self.max_spooled_bodies = bytes;
        self
    }

    /// `SCRIPT_NAME`: the path at which the application is mounted, empty by default. If the path of a request starts
    /// with it, `PATH_INFO` is the rest.
    pub fn script_name(mut self, path: &str) -> Self {
        path.clone_into(&mut self.script_name);
        self
    }

    /// `wsgi.multiprocess`: whether other processes run the same application, `false` by default.
    pub fn multiprocess(mut self, multiprocess: bool) -> Self {
        self.multiprocess = multiprocess;
        self
    }

    /// Whether to follow PEP 3333 exactly, `false` by default: hop-by-hop header fields, headers in another form than a
    /// list of tuples, a status without a reason, and `write` with a `bytearray` are then errors. By default they are
    /// accepted as gunicorn accepts them; hop-by-hop fields are dropped, with one warning for each name.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Imports an application: `module:callable`, as in `mysite.wsgi:application`; the callable may be an attribute
    /// (`module:object.attribute`) or the result of a call with literal arguments (`module:create_app('production')`).
    /// Blocks.
    ///
    /// Starts the Python interpreter if the program has none. Modules are looked up in the current directory, in
    /// `PYTHONPATH`, and in the virtual environment that `VIRTUAL_ENV` names.
    ///
    /// # Errors
    ///
    /// If the module cannot be imported or has no such callable; with the traceback if the module failed. If the
    /// application is to run on threads, and has replaced Python's threads by greenlets (gevent, eventlet).
    pub fn load(self, path: &str) -> Result<PythonApp, LoadError> {
        let prepared = load::prepare_interpreter();
        Python::attach(|py| {
            let callable = prepared.and_then(|()| {
                if self.greenlets == 0 {
                    return load::load(py, path);
                }
                let hub = EventLoop::gevent(py)?;
                let owned = path.to_owned();
                let load = move |py: Python<'_>| load::load(py, &owned).map(Bound::unbind);
                greenlets::load(py, hub, load)?.map(|callable| callable.into_bound(py))
            });
            let callable = callable.map_err(|error| LoadError::new(py, path, &error))?;
            self.build(&callable, path, &[])
        })
    }

    /// The service for a callable. `name` is that of the application in errors, `variables` are added to each environ.
    pub(crate) fn build(
        self,
        callable: &Bound<'_, PyAny>,
        name: &str,
        variables: &[(&str, Py<PyAny>)],
    ) -> Result<PythonApp, LoadError> {
        let py = callable.py();
        let checked = self.callable(callable, variables);
        let checked = checked.and_then(|callable| Ok((callable, validate::monkey_patch(py)?)));
        let (callable, monkey_patch) = checked.map_err(|error| LoadError::new(py, name, &error))?;
        if self.greenlets > 0 {
            return self.build_on_greenlets(py, callable, name, monkey_patch);
        }
        if callable.kind() == CallKind::Asynchronous {
            let event_loop = EventLoop::asyncio(py);
            let event_loop = event_loop.map_err(|error| LoadError::new(py, name, &error))?;
            return Ok(self.asynchronous(callable, event_loop));
        }
        if let Some(call) = monkey_patch {
            if self.thread_workers > 0 {
                return Err(LoadError::refused(name, &validate::greenlets_refused(call)));
            }
            tracing::warn!(
                call,
                "the application has replaced Python's threads by greenlets; on the event loop each request blocks all \
                 others"
            );
        }
        Ok(self.blocking_or_inline(callable))
    }

    fn build_on_greenlets(
        self,
        py: Python<'_>,
        callable: Callable,
        name: &str,
        monkey_patch: Option<&str>,
    ) -> Result<PythonApp, LoadError> {
        if callable.kind() == CallKind::Asynchronous {
            return Err(LoadError::refused(
                name,
                validate::ASYNCHRONOUS_ON_GREENLETS,
            ));
        }
        if let Some(call) = monkey_patch.filter(|call| !call.starts_with("gevent")) {
            return Err(LoadError::refused(name, &validate::greenlets_refused(call)));
        }
        let hub = EventLoop::gevent(py).map_err(|error| LoadError::new(py, name, &error))?;
        callable.run_handlers_on(Runner::Greenlets {
            hub: hub.clone(),
            count: self.greenlets,
        });
        let greenlets = Greenlets::new(hub, self.greenlets);
        let service = self.service(greenlets.callable(callable));
        Ok(PythonApp {
            executor: Executor::greenlets(
                service,
                &self.wait_for_body(),
                greenlets,
                self.websocket_threads,
            ),
            websockets: None,
        })
    }

    fn callable(
        &self,
        callable: &Bound<'_, PyAny>,
        variables: &[(&str, Py<PyAny>)],
    ) -> PyResult<Callable> {
        let py = callable.py();
        let callable = Callable::new(callable, self.strict)?;
        for (name, value) in variables {
            callable.set(py, name, value)?;
        }
        Ok(callable)
    }

    fn service<A>(&self, application: A) -> WsgiService<A> {
        WsgiService::new(application)
            .script_name(&self.script_name)
            .multiprocess(self.multiprocess)
    }

    fn wait_for_body(&self) -> WaitForBodyLayer {
        WaitForBodyLayer::new(self.max_body)
            .timeout(BODY_TIMEOUT)
            .disk_budget(self.max_spooled_bodies)
    }

    fn asynchronous(&self, callable: Callable, event_loop: &EventLoop) -> PythonApp {
        callable.run_handlers_on(Runner::EventLoop(event_loop.clone()));
        let wsgi = self.service(LoopCallable::new(callable, event_loop));
        PythonApp {
            executor: Executor::event_loop(wsgi, &self.wait_for_body()),
            websockets: None,
        }
    }

    fn blocking_or_inline(&self, callable: Callable) -> PythonApp {
        // The threads for WebSocket requests call it besides the others, or the event loop.
        let is_multithreaded = self.thread_workers > 1 || self.websocket_threads > 0;
        let wsgi = self.service(callable).multithread(is_multithreaded);
        let wait_for_body = self.wait_for_body();
        let websockets = match self.websocket_threads {
            0 => None,
            threads => {
                // A handshake may wait for others, but not for the end of a socket: that may take hours.
                let pool = self.pool(threads, "websocket").queue_timeout(QUEUE_TIMEOUT);
                let wsgi = wsgi.clone();
                Some(executor::websockets(wsgi, &wait_for_body, &pool, threads))
            }
        };
        let executor = match self.thread_workers {
            0 => {
                wsgi.application().run_handlers_on(Runner::Inline);
                Executor::inline(wsgi, &wait_for_body)
            }
            threads => {
                let pool = self.pool(threads, "worker-thread");
                let runner = Runner::Pool {
                    pool: pool.clone(),
                    threads,
                };
                wsgi.application().run_handlers_on(runner);
                Executor::blocking(wsgi, &wait_for_body, pool)
            }
        };
        PythonApp {
            executor,
            websockets,
        }
    }

    fn pool(&self, threads: usize, name: &str) -> BlockingPool {
        BlockingPool::new(threads)
            .max_queued(self.max_queued)
            .max_spooled(self.max_spooled)
            .max_spooled_response(self.max_spooled_response)
            .thread_name(name)
            .thread_stack_size(pool_threads::stack_size())
            .thread_guard(pool_threads::attach)
    }
}
