//! An application whose requests run on greenlets: blocking code on one thread, which waits by switching.

use std::sync::{Arc, mpsc};

use pyo3::{IntoPyObjectExt as _, exceptions::PyRuntimeError, prelude::*, types::PyCFunction};
use tower_server_info::PoolStats;
use tower_wsgi::{
    BoxError,
    wsgi::{self, Application, Environ, Reply, WsgiService},
};

use crate::{
    callable::Callable,
    chunks::Chunks,
    event_loop::{EventLoop, Work},
    gate::{Gate, Place, Places},
    start_response::StartResponse,
    websocket::{Outcome, UpgradeOffer},
};

/// The greenlets of an application, on gevent's hub.
#[derive(Clone)]
pub(crate) struct Greenlets {
    hub: EventLoop,
    places: Places,
}

/// A callable that a greenlet calls.
pub(crate) struct GreenletCallable {
    callable: Arc<Callable>,
    hub: EventLoop,
}

impl Greenlets {
    /// `count` requests run at once.
    pub(crate) fn new(hub: &EventLoop, count: usize) -> Self {
        Self {
            hub: hub.clone(),
            places: Places::new(count),
        }
    }

    /// Others on the same hub.
    pub(crate) fn with_places(&self, count: usize) -> Self {
        Self::new(&self.hub, count)
    }

    /// A callable that these greenlets call.
    pub(crate) fn callable(&self, callable: Callable) -> GreenletCallable {
        GreenletCallable {
            callable: Arc::new(callable),
            hub: self.hub.clone(),
        }
    }

    /// Limits the requests that run at once.
    pub(crate) fn gate(
        &self,
        service: WsgiService<GreenletCallable>,
    ) -> Gate<WsgiService<GreenletCallable>> {
        Gate::new(service, self.places.clone())
    }

    /// Their figures, as those of a pool.
    pub(crate) fn stats(&self) -> PoolStats {
        let mut stats = self.hub.stats();
        stats.queued = self.places.waiting();
        stats.refused += self.places.refused();
        stats
    }
}

impl Application for GreenletCallable {
    type Chunks = Chunks;

    fn call(
        &self,
        mut environ: Environ,
        start_response: wsgi::StartResponse,
    ) -> Result<Reply<Chunks>, BoxError> {
        let Some((admission, pieces)) = self.hub.admit() else {
            return Ok(self.callable.too_busy(&start_response));
        };
        let admission = admission.hold(environ.extensions().get::<Place>().cloned());
        let deferred = start_response.defer(pieces);
        let (callable, sender) = (Arc::clone(&self.callable), admission.sender());
        let hub = self.hub.clone();
        let offer = environ.extensions().get::<UpgradeOffer>().cloned();
        let arguments = move |py: Python<'_>| {
            let end = offer.map(|offer| end_of_offer(py, offer, start_response.clone()));
            let start_response = StartResponse::new(start_response, callable.is_strict(), &environ);
            let start_response = Bound::new(py, start_response)?;
            start_response.get().defer(&hub, sender);
            let environ = callable.environ(&mut environ, &start_response)?;
            (callable.object(), environ, start_response, end.transpose()?).into_py_any(py)
        };
        admission.start(Work::Call(Box::new(arguments)), self.callable.errors());
        Ok(Reply::Deferred(deferred))
    }
}

/// A function that ends the offer of an upgrade after the application has returned, and may wait for that. It returns
/// whether the response was sent by a socket: then what the application has returned is not wanted.
fn end_of_offer<'py>(
    py: Python<'py>,
    offer: UpgradeOffer,
    start_response: wsgi::StartResponse,
) -> PyResult<Bound<'py, PyCFunction>> {
    PyCFunction::new_closure(py, None, None, move |arguments, _| {
        let has_responded = offer.end(arguments.py()) == Outcome::Responded;
        if has_responded {
            // No task waits for it, but a response has to be started.
            let unused = BoxError::from("the response was sent by a socket");
            let _ = start_response.restart::<&str, &str, _>("204 No Content", [], unused);
        }
        has_responded
    })
}

/// Loads an application on the hub's thread, on which it runs. To be called on another thread, which waits.
pub(crate) fn load<T: Send + 'static>(
    py: Python<'_>,
    hub: &EventLoop,
    load: impl FnOnce(Python<'_>) -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, result) = mpsc::sync_channel(1);
    let work = load_on_hub(hub, load, move |loaded| {
        // It fails only if the caller no longer waits.
        let _ = sender.send(loaded);
    });
    let result = work
        .then(|| py.detach(move || result.recv().ok()))
        .flatten();
    result.ok_or_else(|| PyRuntimeError::new_err("gevent's hub does not run"))
}

/// Loads an application on the hub's thread, and passes it on there. Returns whether the hub runs.
pub(crate) fn load_on_hub<T: Send + 'static>(
    hub: &EventLoop,
    load: impl FnOnce(Python<'_>) -> T + Send + 'static,
    done: impl FnOnce(T) + Send + 'static,
) -> bool {
    let this = hub.clone();
    let work = move |py: Python<'_>| {
        let loaded = load(py);
        if let Err(error) = warn_of_blocking_databases(py, &this) {
            error.write_unraisable(py, None);
        }
        this.set_loading(false);
        done(loaded);
        Ok(py.None())
    };
    hub.set_loading(true);
    hub.call(work, |_, _| {})
}

fn warn_of_blocking_databases(py: Python<'_>, hub: &EventLoop) -> PyResult<()> {
    let databases: Vec<String> = hub.call_driver(py, "blocking_databases")?.extract()?;
    if !databases.is_empty() {
        tracing::warn!(
            databases = databases.join(", "),
            "the client of a database waits without switching greenlets, so each query holds up all requests of its \
             worker; use PostgreSQL, or threads (leave --greenlet out)"
        );
    }
    Ok(())
}
