//! A Python callable as an [`Application`]: called on this thread, or on that of an event loop.

use std::sync::Arc;

use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use tower_wsgi::{
    BoxError, Rejection,
    wsgi::{self, Application, Reply},
};

use crate::{
    chunks::Chunks,
    environ::EnvironBuilder,
    event_loop::{EventLoop, Work},
    exception::WsgiErrors,
    file_wrapper::FileWrapper,
    piece,
    start_response::StartResponse,
    validate::{self, CallKind},
    websocket::{Dispatcher, Outcome, Runner, UpgradeOffer, WebSocketUpgrade, is_end_of_socket},
};

/// A WSGI application written in Python.
#[derive(Debug)]
pub(crate) struct Callable {
    callable: Py<PyAny>,
    kind: CallKind,
    environs: EnvironBuilder,
    errors: Arc<WsgiErrors>,
    /// Whether to follow PEP 3333 exactly, without the leniency of gunicorn.
    strict: bool,
    /// `sys.modules`.
    modules: Py<PyDict>,
    websockets: Arc<Dispatcher>,
}

impl Callable {
    /// An error if `callable` cannot be a WSGI application.
    pub(crate) fn new(callable: &Bound<'_, PyAny>, strict: bool) -> PyResult<Self> {
        let kind = validate::check_signature(callable)?;
        let sys = callable.py().import("sys")?;
        let stream = sys.getattr("stderr")?;
        let environs = EnvironBuilder::new(&stream)?;
        let errors = Arc::new(WsgiErrors::new(stream.unbind()));
        let modules = sys.getattr("modules")?.cast_into::<PyDict>();
        Ok(Self {
            callable: callable.clone().unbind(),
            kind,
            environs,
            websockets: Arc::new(Dispatcher::new(Arc::clone(&errors))),
            errors,
            strict,
            modules: modules.map_err(PyErr::from)?.unbind(),
        })
    }

    /// Sets a variable in the environ of every request. To be called before the first request.
    pub(crate) fn set(&self, py: Python<'_>, name: &str, value: &Py<PyAny>) -> PyResult<()> {
        self.environs.set(py, name, value)
    }

    /// The application.
    pub(crate) fn object(&self) -> &Py<PyAny> {
        &self.callable
    }

    /// Where its errors go.
    pub(crate) fn errors(&self) -> &Arc<WsgiErrors> {
        &self.errors
    }

    /// Whether it follows PEP 3333 exactly.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Sets where the handlers of its sockets run, once.
    pub(crate) fn run_handlers_on(&self, runner: Runner) {
        self.websockets.run_on(runner);
    }

    /// Where it has to be called.
    pub(crate) fn kind(&self) -> CallKind {
        self.kind
    }

    /// The environ of a request.
    pub(crate) fn environ<'py>(
        &self,
        environ: &mut wsgi::Environ,
        start_response: &Bound<'py, StartResponse>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = start_response.py();
        let offer = environ.extensions().get::<UpgradeOffer>().cloned();
        let environ = self.environs.build(py, environ)?;
        if let Some(offer) = offer {
            let inner = start_response.get().inner.clone();
            let upgrade = WebSocketUpgrade::new(offer, inner, Arc::clone(&self.websockets));
            environ.set_item(
                intern!(py, "tower_wsgi.websocket"),
                Bound::new(py, upgrade)?,
            )?;
        }
        Ok(environ)
    }

    /// What the application returns.
    fn call_python<'py>(
        &self,
        environ: &mut wsgi::Environ,
        start_response: &Bound<'py, StartResponse>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = start_response.py();
        let environ = self.environ(environ, start_response)?;
        self.callable.bind(py).call1((environ, start_response))
    }

    fn call_attached(
        &self,
        py: Python<'_>,
        environ: &mut wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> PyResult<Reply<Chunks>> {
        self.set_current_loop(py);
        let start_response =
            Bound::new(py, StartResponse::new(start_response, self.strict, environ))?;
        let body = self.call_python(environ, &start_response)?;
        if is_later(&body)? {
            return self.defer(body, &start_response);
        }
        if let Ok(file) = body.cast_exact::<FileWrapper>()
            && file.get().send(py, &start_response.get().inner)
        {
            return Ok(Reply::Chunks(Chunks::only_to_close(body, &self.errors)));
        }
        Chunks::new(body, &self.errors).map(Reply::Chunks)
    }

    /// The same for a WebSocket request. If its response was sent because of what the application wrote to its socket, what
    /// it returns is discarded, and so is an exception by which a library says that the socket is closed.
    fn call_with_offer(
        &self,
        py: Python<'_>,
        environ: &mut wsgi::Environ,
        start_response: &wsgi::StartResponse,
        offer: &UpgradeOffer,
    ) -> PyResult<Reply<Chunks>> {
        let result = self.call_attached(py, environ, start_response.clone());
        if matches!(result, Ok(Reply::Deferred(_))) {
            // The application continues elsewhere, and may still take the upgrade.
            return result;
        }
        match (offer.end(py), result) {
            (Outcome::Ordinary, result) => return result,
            (Outcome::Responded, Ok(reply)) => drop(reply),
            (Outcome::Responded, Err(error)) if is_end_of_socket(py, &error) => {}
            (Outcome::Responded, Err(error)) => return Err(error),
        }
        // No task waits for it, but a response has to be started.
        let unused = BoxError::from("the response was sent by a socket");
        let _ = start_response.restart::<&str, &str, _>("204 No Content", [], unused);
        Chunks::new(PyList::empty(py).into_any(), &self.errors).map(Reply::Chunks)
    }

    /// Leaves what the application has returned to the event loop.
    fn defer(
        &self,
        body: Bound<'_, PyAny>,
        start_response: &Bound<'_, StartResponse>,
    ) -> PyResult<Reply<Chunks>> {
        let py = body.py();
        let event_loop = EventLoop::asyncio(py)?;
        let Some((admission, pieces)) = event_loop.admit() else {
            discard(&body)?;
            return Ok(self.too_busy(&start_response.get().inner));
        };
        let contextvars = py.import(intern!(py, "contextvars"))?;
        let context = contextvars.call_method0(intern!(py, "copy_context"))?;
        start_response.get().defer(event_loop, admission.sender());
        let deferred = start_response.get().inner.defer(pieces);
        let work = Work::Result {
            result: body.unbind(),
            context: Some(context.unbind()),
        };
        admission.start(work, &self.errors);
        Ok(Reply::Deferred(deferred))
    }

    /// The response when the event loop has no room, in place of one that the application has started.
    pub(crate) fn too_busy(&self, start_response: &wsgi::StartResponse) -> Reply<Chunks> {
        let rejection = Rejection::QueueFull;
        let status = rejection.status().to_string();
        let fields = [
            ("content-type", "text/plain; charset=utf-8"),
            ("retry-after", "1"),
        ];
        let full: Result<_, BoxError> = start_response.restart(status, fields, rejection.into());
        if let Err(error) = full {
            tracing::debug!(%error, "the event loop has no room, and the response was started");
        }
        Reply::Chunks(Chunks::of_text(rejection.message(), &self.errors))
    }

    /// The event loop is the current one of each thread that calls the application, so that the application can make
    /// futures and tasks.
    fn set_current_loop(&self, py: Python<'_>) {
        let event_loop = match EventLoop::existing_asyncio(py) {
            Some(event_loop) => event_loop,
            // An application without asyncio needs no loop.
            None => match self.modules.bind(py).contains(intern!(py, "asyncio")) {
                Ok(true) => match EventLoop::asyncio(py) {
                    Ok(event_loop) => event_loop,
                    Err(error) => return tracing::error!(%error, "cannot make an event loop"),
                },
                _ => return,
            },
        };
        event_loop.set_current(py);
    }
}

/// Whether a result has to be awaited, or iterated over asynchronously.
fn is_later(body: &Bound<'_, PyAny>) -> PyResult<bool> {
    if body.is_exact_instance_of::<PyList>() || body.is_exact_instance_of::<PyTuple>() {
        return Ok(false);
    }
    // First, because a future of asyncio can be iterated over as well, without any use.
    Ok(piece::has_await(body)?
        || piece::is_asynchronous_iterable(body)?
        || !piece::has_iter(body)? && piece::is_awaitable(body)?)
}

/// Ends what will not be awaited.
fn discard(body: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = body.py();
    for name in [intern!(py, "close"), intern!(py, "cancel")] {
        if let Some(end) = body.getattr_opt(name)? {
            return end.call0().map(drop);
        }
    }
    Ok(())
}

impl Application for Callable {
    type Chunks = Chunks;

    fn call(
        &self,
        mut environ: wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> Result<Reply<Chunks>, BoxError> {
        // By reference: the request is large.
        let environ = &mut environ;
        let offer = environ.extensions().get::<UpgradeOffer>().cloned();
        Python::attach(|py| {
            let result = match &offer {
                None => self.call_attached(py, environ, start_response),
                Some(offer) => self.call_with_offer(py, environ, &start_response, offer),
            };
            result.map_err(|error| self.errors.report(py, &error))
        })
    }
}

/// An application that is called on the thread of an event loop.
#[derive(Debug)]
pub(crate) struct LoopCallable {
    callable: Arc<Callable>,
    event_loop: EventLoop,
}

impl LoopCallable {
    pub(crate) fn new(callable: Callable, event_loop: &EventLoop) -> Self {
        Self {
            callable: Arc::new(callable),
            event_loop: event_loop.clone(),
        }
    }
}

impl Application for LoopCallable {
    type Chunks = Chunks;

    fn call(
        &self,
        mut environ: wsgi::Environ,
        start_response: wsgi::StartResponse,
    ) -> Result<Reply<Chunks>, BoxError> {
        let Some((admission, pieces)) = self.event_loop.admit() else {
            return Ok(self.callable.too_busy(&start_response));
        };
        let deferred = start_response.defer(pieces);
        let (callable, sender) = (Arc::clone(&self.callable), admission.sender());
        let event_loop = self.event_loop.clone();
        let call = move |py: Python<'_>| {
            let start_response = StartResponse::new(start_response, callable.strict, &environ);
            let start_response = Bound::new(py, start_response)?;
            start_response.get().defer(&event_loop, sender);
            let body = callable.call_python(&mut environ, &start_response)?;
            Ok(body.unbind())
        };
        admission.start(Work::Call(Box::new(call)), &self.callable.errors);
        Ok(Reply::Deferred(deferred))
    }
}
