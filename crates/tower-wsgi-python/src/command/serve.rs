//! A server of `tower-prefork` whose service is a Python application.

use std::{
    fs,
    future::pending,
    mem,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use pyo3::{
    IntoPyObjectExt as _,
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString},
};
use tokio::sync::oneshot;
use tower_prefork::{BoxError, Config, Server, Supervisor, WorkerContext, Workers, cli};
use tower_wsgi::body::probe_temporary_directory;

use super::{
    exit, heap,
    main_thread::{Handle, MainThread},
    settings::Settings,
    streams,
    wsgi::WsgiConfig,
};
use crate::{LoadError, PythonApp, attach, pool_threads};

/// What this process has loaded an application for.
static SERVED: Mutex<Vec<WorkerContext>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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

/// The server of this. The application is loaded in Python's main thread, if that waits for it: only there it may
/// set signal handlers.
pub(super) fn server(charge: Charge, main_thread: Option<Handle>) -> Server {
    let Charge {
        name,
        settings,
        load,
    } = charge;
    let server = settings.server(&name);
    server.service(move |worker| async move {
        probe_temporary_directory();
        heap::give_back_by_and_by();
        let on_event_loop = worker.config().thread_workers == 0;
        let app = match main_thread {
            Some(main_thread) => {
                let is_first = {
                    let mut served = lock(&SERVED);
                    served.push(worker.clone());
                    served.len() == 1
                };
                let handle = main_thread.clone();
                let build = move |py: Python<'_>| {
                    if is_first {
                        // The process is the server's, and so is what is printed.
                        streams::replace(py).map_err(|error| LoadError::new(py, &name, &error))?;
                    }
                    let app = build(py, load, &worker, &settings, &name)?;
                    if is_alone(&worker) {
                        handle
                            .stop_beside_handlers(py)
                            .map_err(|error| LoadError::new(py, &name, &error))?;
                    }
                    Ok::<_, BoxError>(app)
                };
                let built = main_thread.call(build).await;
                built.ok_or("Python's main thread has ended")??
            }
            None => Python::attach(|py| build(py, load, &worker, &settings, &name))?,
        };
        if on_event_loop {
            attach::keep_thread_state();
        }
        Ok::<_, BoxError>(app)
    })
}

fn build(
    py: Python<'_>,
    load: Load,
    worker: &WorkerContext,
    settings: &Settings,
    name: &str,
) -> Result<PythonApp, BoxError> {
    set_title(py, worker);
    let callable = load(py, worker.config())?;
    let config = worker.config();
    let wsgi = settings.wsgi(config);
    let cfg = cfg(py, worker, &wsgi).map_err(|error| LoadError::new(py, name, &error))?;
    let app = PythonApp::builder()
        // A single worker, too, has a sibling while it is replaced.
        .multiprocess(!is_alone(worker))
        .script_name(&wsgi.script_name)
        .max_body(wsgi.max_body)
        .max_spooled(wsgi.max_spooled)
        .max_spooled_response(wsgi.max_spooled_response)
        .max_spooled_bodies(wsgi.max_spooled_bodies)
        .strict(wsgi.strict)
        .thread_workers(config.thread_workers)
        .build(callable.bind(py), name, &[("pulsar.cfg", cfg)])?;
    worker.monitor(&app);
    Ok(app)
}

fn is_alone(worker: &WorkerContext) -> bool {
    matches!(worker.config().workers, Workers::Count(0))
}

/// Makes the command line of a worker say what it is, where the package `setproctitle` is installed: as
/// gunicorn does.
fn set_title(py: Python<'_>, worker: &WorkerContext) {
    if is_alone(worker) {
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

/// `pulsar.cfg`: the settings that hold, by name.
fn cfg(py: Python<'_>, worker: &WorkerContext, wsgi: &WsgiConfig) -> PyResult<Py<PyAny>> {
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
    values.set_item("strict", wsgi.strict)?;
    let namespace = py.import("types")?.getattr("SimpleNamespace")?;
    Ok(namespace.call((), Some(&values))?.unbind())
}

/// Python's own handler ends no wait of Rust's. It is called as well as the server's, and raises
/// `KeyboardInterrupt` in whatever Python code runs next: after a clean stop, or in a request on the
/// event loop. Says whether this is Python's main thread: in another one nothing is changed, and Python
/// raises no interrupt either.
fn leave_interrupts_to_rust(py: Python<'_>) -> PyResult<bool> {
    let signal = py.import("signal")?;
    let arguments = (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?);
    match signal.call_method1("signal", arguments) {
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Serves until stopped. Gives the exit code, except in a process that has run an application: that ends
/// here. Outside of Python's main thread, which others need, it serves in this thread, and returns.
pub(super) fn serve(py: Python<'_>, charges: Vec<Charge>) -> PyResult<u8> {
    if !leave_interrupts_to_rust(py)? {
        return Ok(py.detach(|| number(run(charges, None, supervisor()))));
    }
    let (stop, reason) = oneshot::channel();
    let main_thread = MainThread::new(stop)?;
    let handle = main_thread.handle();
    let serve = move || {
        let _ended = handle.ended();
        let reason = async {
            match reason.await {
                Ok(reason) => reason,
                // Others stop it.
                Err(_) => pending().await,
            }
        };
        let code = number(run(charges, Some(&handle), supervisor().stop_when(reason)));
        pool_threads::wait_for_end();
        code
    };
    let thread = thread::Builder::new()
        .name("server".into())
        .stack_size(pool_threads::stack_size())
        .spawn(serve)?;
    let raised = main_thread.run(py);
    // Its last steps may need the interpreter.
    let served = py.detach(|| thread.join());
    let mut code = served.map_err(|_| PyRuntimeError::new_err("the server has panicked"))?;
    let served = mem::take(&mut *lock(&SERVED));
    if served.is_empty() {
        return raised.map_or(Ok(code), Err);
    }
    // Of a worker another one has taken the place, as it should.
    let is_alone = served.iter().any(is_alone);
    if let Some(error) = raised.filter(|_| code == 0 && is_alone) {
        code = exit::code_of(py, &error);
    }
    exit::exit(
        py,
        code,
        served.iter().filter_map(WorkerContext::deadline).max(),
    )?;
    Ok(code)
}

fn supervisor() -> Supervisor {
    // The interpreter finds its environment by the name that it was called by.
    Supervisor::new().keep_name()
}

fn run(charges: Vec<Charge>, main_thread: Option<&Handle>, supervisor: Supervisor) -> ExitCode {
    let servers = charges
        .into_iter()
        .map(|charge| server(charge, main_thread.cloned()))
        .map(Server::platform_variables);
    servers.fold(supervisor, Supervisor::server).run()
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
