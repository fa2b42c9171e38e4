//! A server of `tower-prefork` whose service is a Python application.

use std::{
    fs,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use http::Extensions;
use pyo3::{
    IntoPyObjectExt as _,
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyString},
};
use tower_prefork::{
    AbandonedJob, Arbiter, BoxError, Config, Connection, Server, Work, Worker, Workers, cli,
};
use tower_wsgi::{body::probe_temporary_directory, wsgi::Ends};

use super::{heap, settings::Settings, wsgi::WsgiConfig};
use crate::{LoadError, PythonApp};

/// Whether this process has loaded an application.
static LOADED: AtomicBool = AtomicBool::new(false);

/// How a worker gets its application.
pub(super) type Load = Box<dyn FnOnce(Python<'_>, &Config) -> Result<Py<PyAny>, BoxError> + Send>;

/// A server to be.
pub(super) struct Charge {
    /// In logs and errors.
    pub(super) name: String,
    pub(super) settings: Settings,
    /// Called in each worker.
    pub(super) load: Load,
}

pub(super) fn server(charge: Charge) -> Server {
    let Charge {
        name,
        settings,
        load,
    } = charge;
    let server = settings.server(&name);
    server.service(move |worker| async move {
        LOADED.store(true, Ordering::Relaxed);
        probe_temporary_directory();
        heap::give_back_by_and_by();
        Python::attach(|py| {
            set_title(py, &worker);
            let callable = load(py, worker.config())?;
            app(callable.bind(py), &worker, &settings)
                .map_err(|error| BoxError::from(LoadError::new(py, &name, &error)))
        })
    })
}

/// Makes the command line of a worker say what it is, where the package `setproctitle` is installed: as
/// gunicorn does.
fn set_title(py: Python<'_>, worker: &Worker) {
    if matches!(worker.config().workers, Workers::Count(0)) {
        return;
    }
    let Ok(package) = py.import("setproctitle") else {
        return;
    };
    let title = format!("{}: worker {}", worker.server(), worker.slot());
    // The package makes the beginning of the title the short name, too, and there the end says more.
    let short = fs::read("/proc/self/comm");
    // Nothing depends on a title.
    let _ = package.call_method1("setproctitle", (title,));
    let _ = short.and_then(|name| fs::write("/proc/self/comm", name));
}

fn app(callable: &Bound<'_, PyAny>, worker: &Worker, settings: &Settings) -> PyResult<PythonApp> {
    let config = worker.config();
    let wsgi = settings.wsgi(config);
    let app = PythonApp::new(callable)?
        // A single worker, too, has a sibling while it is replaced.
        .multiprocess(!matches!(config.workers, Workers::Count(0)))
        .ends(ends)
        .script_name(&wsgi.script_name)
        .max_body(wsgi.max_body)
        .max_spooled(wsgi.max_spooled)
        .max_spooled_response(wsgi.max_spooled_response)
        .max_spooled_bodies(wsgi.max_spooled_bodies)
        .thread_workers(config.thread_workers);
    let py = callable.py();
    let cfg = cfg(py, worker, &wsgi)?;
    app.callable().set(py, "pulsar.cfg", &cfg)?;
    let watched = app.clone();
    worker.watch_work(move || work(&watched));
    Ok(app)
}

/// What the threads of an application do, for the server.
fn work(app: &PythonApp) -> Work {
    let Some(stats) = app.stats() else {
        return Work::default();
    };
    let abandoned = app.abandoned().into_iter().map(|job| AbandonedJob {
        since: job.since,
        method: job.method,
        path: job.path,
        thread: job.thread,
    });
    Work {
        queued: stats.queued,
        refused: stats.refused,
        oldest: stats.oldest,
        abandoned: abandoned.collect(),
    }
}

fn ends(extensions: &Extensions) -> Ends {
    let connection = extensions.get::<Connection>();
    Ends {
        remote: connection.and_then(Connection::peer),
        local: connection.and_then(Connection::local),
        encrypted: connection.is_some_and(Connection::is_encrypted),
    }
}

/// `pulsar.cfg`: the settings that hold, by name.
fn cfg(py: Python<'_>, worker: &Worker, wsgi: &WsgiConfig) -> PyResult<Py<PyAny>> {
    let config = worker.config();
    let values = PyDict::new(py);
    values.set_item("name", worker.server())?;
    values.set_item("bind", &config.bind)?;
    values.set_item(
        "workers",
        match config.workers {
            Workers::Auto => PyString::new(py, "auto").into_any(),
            Workers::Count(count) => count.into_bound_py_any(py)?,
        },
    )?;
    values.set_item("thread_workers", config.thread_workers)?;
    values.set_item("backlog", config.backlog)?;
    values.set_item("max_connections", config.max_connections)?;
    values.set_item("graceful_timeout", config.graceful_timeout.as_secs_f64())?;
    values.set_item("script_name", &wsgi.script_name)?;
    values.set_item("max_body", wsgi.max_body)?;
    let namespace = py.import("types")?.getattr("SimpleNamespace")?;
    Ok(namespace.call((), Some(&values))?.unbind())
}

/// Python's own handler ends no wait of Rust's. It is called as well as the server's, and raises
/// `KeyboardInterrupt` in whatever Python code runs next: after a clean stop, or in a request on the
/// event loop.
fn leave_interrupts_to_rust(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let arguments = (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?);
    match signal.call_method1("signal", arguments) {
        // In another thread than the main one, where Python raises no interrupt either.
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(()),
        result => result.map(drop),
    }
}

/// Serves until stopped. Gives the exit code, except in a process that has run an application: that ends
/// here.
pub(super) fn serve(py: Python<'_>, charges: Vec<Charge>) -> PyResult<u8> {
    heap::keep_for_bodies();
    leave_interrupts_to_rust(py)?;
    let code = py.detach(|| {
        let servers = charges.into_iter().map(server);
        let servers = servers.map(Server::platform_variables);
        // The interpreter finds its environment by the name that it was called by.
        let arbiter = Arbiter::new().keep_name();
        servers.fold(arbiter, Arbiter::server).run()
    });
    let code = number(code);
    if LOADED.load(Ordering::Relaxed) {
        exit(py, code)?;
    }
    Ok(code)
}

/// Talks to a server that runs. Gives the exit code.
pub(super) fn talk(py: Python<'_>, ctl: &cli::Ctl) -> PyResult<u8> {
    leave_interrupts_to_rust(py)?;
    Ok(py.detach(|| number(ctl.run())))
}

fn number(code: ExitCode) -> u8 {
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    number.unwrap_or(1)
}

/// Ends the process as Python does, but for the interpreter's end, which a thread that is stuck in the
/// application could hold up or break: its threads are joined, its exit functions run, its garbage is
/// collected, its output is written.
fn exit(py: Python<'_>, code: u8) -> PyResult<()> {
    // The server is gone, and with it who obeys the operator: a second signal ends what takes too long here.
    let signal = py.import("signal")?;
    for name in ["SIGTERM", "SIGINT"] {
        let arguments = (signal.getattr(name)?, signal.getattr("SIG_DFL")?);
        signal.call_method1("signal", arguments)?;
    }
    py.import("threading")?.call_method0("_shutdown")?;
    py.import("atexit")?.call_method0("_run_exitfuncs")?;
    // The pool's threads have kept it in cycles: Django's connections to databases, which are to be closed.
    py.import("gc")?.call_method0("collect")?;
    for stream in ["stdout", "stderr"] {
        let stream = py.import("sys")?.getattr(stream)?;
        if !stream.is_none() {
            stream.call_method0("flush")?;
        }
    }
    std::process::exit(i32::from(code));
}
