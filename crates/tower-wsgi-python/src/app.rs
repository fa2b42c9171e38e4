use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, header::ACCEPT};
use pyo3::prelude::*;
use tower_layer::Layer as _;
use tower_server_info::{PoolMonitor, PoolStats};
use tower_service::Service;
use tower_wsgi::{
    Body, BoxError,
    blocking::{AbandonedJob, Blocking, BlockingLayer, BlockingPool, Stats},
    wait_for_body::{WaitForBody, WaitForBodyLayer},
    wsgi::WsgiService,
};

use crate::{
    callable::Callable,
    future::ResponseFuture,
    greenlets,
    load::{self, LoadError},
    pool_threads, stack,
};

/// How long a whole request may take to arrive. A server has a shorter limit for a client that stalls.
const BODY_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// A Python WSGI application as a tower service.
///
/// See the [crate's documentation](crate) for what it does, and what the client sees. Clones share the
/// application and its threads.
#[derive(Clone)]
pub struct PythonApp {
    wsgi: WsgiService<Callable>,
    limits: Limits,
    inner: Inner,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    thread_workers: usize,
    max_body: u64,
    max_spooled: usize,
    max_spooled_response: usize,
    max_spooled_bodies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            thread_workers: 5,
            max_body: 1 << 30,
            max_spooled: 1 << 30,
            max_spooled_response: 64 << 20,
            max_spooled_bodies: 4 << 30,
        }
    }
}

#[derive(Clone)]
enum Inner {
    Pool(WaitForBody<Blocking<WsgiService<Callable>>>, BlockingPool),
    Loop(WaitForBody<WsgiService<Callable>>),
}

impl PythonApp {
    /// Imports an application: `module:callable`, as in `mysite.wsgi:application`; the callable may be an
    /// attribute (`module:object.attribute`) or the result of a call with literal arguments
    /// (`module:create_app('production')`). Blocks.
    ///
    /// Starts the Python interpreter if the program has none. Modules are looked for in the current
    /// directory, in `PYTHONPATH`, and in the virtual environment that `VIRTUAL_ENV` names.
    ///
    /// # Errors
    ///
    /// When the module cannot be imported, or has no such callable: with the traceback. When it has replaced Python's
    /// threads by greenlets (gevent, eventlet).
    pub fn load(place: &str) -> Result<Self, LoadError> {
        let prepared = load::prepare();
        Python::attach(|py| {
            let loaded = prepared
                .and_then(|()| load::load(py, place))
                .and_then(|callable| Ok((Self::new(&callable)?, greenlets::patched_by(py)?)));
            match loaded {
                Ok((app, None)) => Ok(app),
                Ok((_, Some(by))) => Err(LoadError::refused(place, &greenlets::refusal(by))),
                Err(error) => Err(LoadError::new(py, place, &error)),
            }
        })
    }

    /// The service of a callable, on 5 threads.
    pub(crate) fn new(callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let wsgi = WsgiService::new(Callable::new(callable)?).multiprocess(false);
        let limits = Limits::default();
        let inner = Inner::new(wsgi.clone(), &limits);
        Ok(Self {
            wsgi,
            limits,
            inner,
        })
    }

    /// How many threads call the application, 5 by default. With 0 it is called on the event loop: the
    /// fastest, for an application that never waits.
    #[must_use]
    pub fn thread_workers(mut self, threads: usize) -> Self {
        self.limits.thread_workers = threads;
        self.build()
    }

    /// The largest body of a request in bytes, 1 GiB by default. A larger one is answered with 413.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.limits.max_body = bytes;
        self.build()
    }

    /// How many bytes of temporary files its responses may fill together, 1 GiB by default. Beyond it a thread
    /// waits for its reader.
    #[must_use]
    pub fn max_spooled(mut self, bytes: usize) -> Self {
        self.limits.max_spooled = bytes;
        self.build()
    }

    /// How many bytes of a temporary file one response may fill, 64 MiB by default. Beyond it its thread waits for
    /// its reader.
    #[must_use]
    pub fn max_spooled_response(mut self, bytes: usize) -> Self {
        self.limits.max_spooled_response = bytes;
        self.build()
    }

    /// How many bytes of temporary files the bodies of its requests may fill together, 4 GiB by default. Beyond it a
    /// request whose body does not fit in memory is answered with 503.
    #[must_use]
    pub fn max_spooled_bodies(mut self, bytes: usize) -> Self {
        self.limits.max_spooled_bodies = bytes;
        self.build()
    }

    /// `SCRIPT_NAME`: the path at which the application is mounted, empty by default. A path that starts
    /// with it loses it in `PATH_INFO`.
    #[must_use]
    pub fn script_name(mut self, path: &str) -> Self {
        self.wsgi = self.wsgi.script_name(path);
        self.build()
    }

    /// `wsgi.multiprocess`: whether other processes run the same application, `false` by default.
    #[must_use]
    pub fn multiprocess(mut self, multiprocess: bool) -> Self {
        self.wsgi = self.wsgi.multiprocess(multiprocess);
        self.build()
    }

    /// Whether the application is held to the letter of PEP 3333, `false` by default: hop-by-hop header
    /// fields, headers in another form than a list of tuples, a status without a reason, and `write` with
    /// a `bytearray` are errors then. By default they are accepted as gunicorn accepts them; hop-by-hop
    /// fields are dropped, with one warning for each name.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        self.wsgi.application().set_strict(strict);
        self
    }

    /// What its threads are doing; `None` on the event loop.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match &self.inner {
            Inner::Pool(_, pool) => Some(pool.stats()),
            Inner::Loop(_) => None,
        }
    }

    /// The calls that go on though nobody waits for their answer any more. On the event loop there are none.
    #[must_use]
    pub fn abandoned(&self) -> Vec<AbandonedJob> {
        match &self.inner {
            Inner::Pool(_, pool) => pool.abandoned(),
            Inner::Loop(_) => Vec::new(),
        }
    }

    #[cfg(feature = "command")]
    pub(crate) fn callable(&self) -> &Callable {
        self.wsgi.application()
    }

    fn build(mut self) -> Self {
        self.inner = Inner::new(self.wsgi.clone(), &self.limits);
        self
    }
}

/// For the server that the application runs in. On the event loop there are no threads to report of.
impl From<&PythonApp> for PoolMonitor {
    fn from(app: &PythonApp) -> Self {
        match &app.inner {
            Inner::Pool(_, pool) => pool.into(),
            Inner::Loop(_) => Self::new(PoolStats::default),
        }
    }
}

impl Inner {
    fn new(wsgi: WsgiService<Callable>, limits: &Limits) -> Self {
        let wait_for_body = WaitForBodyLayer::new(limits.max_body)
            .timeout(BODY_TIMEOUT)
            .disk_budget(limits.max_spooled_bodies);
        let threads = limits.thread_workers;
        if threads == 0 {
            return Self::Loop(wait_for_body.layer(wsgi.multithread(false)));
        }
        let pool = BlockingPool::new(threads)
            .max_spooled(limits.max_spooled)
            .max_spooled_response(limits.max_spooled_response)
            .thread_name("worker-thread")
            .thread_stack_size(stack::size())
            .hold(pool_threads::enter);
        let blocking = BlockingLayer::new(&pool).layer(wsgi.multithread(threads > 1));
        Self::Pool(wait_for_body.layer(blocking), pool)
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
        let accept = request.headers().get(ACCEPT).cloned();
        match &mut self.inner {
            Inner::Pool(service, _) => ResponseFuture::pool(service.call(request), accept),
            Inner::Loop(service) => ResponseFuture::event_loop(service.call(request), accept),
        }
    }
}

impl fmt::Debug for PythonApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonApp")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
