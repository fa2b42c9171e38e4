//! Servers of `tower-prefork` whose services are Python applications.

use std::{
    fs,
    future::pending,
    mem,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
};
use tokio::sync::oneshot;
use tower_prefork::{BoxError, Config, Server, Supervisor, WorkerContext, Workers, cli};
use tower_wsgi::body::probe_temporary_directory;

use super::{
    cfg::SettingsView,
    exit, greenlets, heap,
    main_thread::{MainThread, MainThreadHandle},
    settings::Settings,
    stdio,
};
use crate::{LoadError, PythonApp, attach, gate::MAX_QUEUED, pool_threads};

/// The workers for which this process has loaded an application.
static LOADED: Mutex<Vec<WorkerContext>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAIN_THREAD_ENDED: &str = "Python's main thread has ended";

/// Loads the application of a worker.
pub(super) type Load = Box<dyn FnOnce(Python<'_>, &Config) -> Result<Py<PyAny>, BoxError> + Send>;

/// What a server is made of.
pub(super) struct ServerSetup {
    /// Its name in logs and errors.
    pub(super) name: String,
    pub(super) settings: Settings,
    /// Called once in each worker.
    pub(super) load: Load,
    /// Whether the application is that of a program, which has imported it.
    pub(super) is_program: bool,
}

/// The server of a setup. The application is loaded in Python's main thread, if there is a handle to that: an
/// application can set signal handlers only there.
pub(super) fn server(setup: ServerSetup, main_thread: Option<MainThreadHandle>) -> Server {
    let ServerSetup {
        name,
        settings,
        load,
        is_program,
    } = setup;
    let server = settings.server(&name);
    server.service(move |worker| async move {
        probe_temporary_directory();
        heap::trim_periodically();
        let greenlets = settings.wsgi(worker.config()).greenlet;
        let on_event_loop = worker.config().thread_workers == 0 && greenlets == 0;
        let app = match main_thread {
            Some(main_thread) => {
                let is_first = {
                    let mut loaded = lock(&LOADED);
                    loaded.push(worker.clone());
                    loaded.len() == 1
                };
                let handle = main_thread.clone();
                let prepare = {
                    let name = name.clone();
                    let worker = worker.clone();
                    move |py: Python<'_>| {
                        if is_first {
                            // The process belongs to the server, and so do its standard streams.
                            stdio::replace(py)
                                .map_err(|error| LoadError::new(py, &name, &error))?;
                        }
                        set_title(py, &worker);
                        let hub = (greenlets > 0).then(|| greenlets::hub(py, is_program));
                        hub.transpose()
                    }
                };
                let hub = main_thread.call(prepare).await.ok_or(MAIN_THREAD_ENDED)??;
                let load: Load = match hub {
                    Some(hub) => {
                        let loaded = greenlets::load(hub, load, &worker, &main_thread).await?;
                        Box::new(|_, _| Ok(loaded))
                    }
                    None => load,
                };
                let build = move |py: Python<'_>| {
                    let app = build(py, load, &worker, &settings, &name)?;
                    if is_standalone(&worker) {
                        handle
                            .chain_signal_handlers(py)
                            .map_err(|error| LoadError::new(py, &name, &error))?;
                    }
                    Ok::<_, BoxError>(app)
                };
                let built = main_thread.call(build).await;
                built.ok_or(MAIN_THREAD_ENDED)??
            }
            None => Python::attach(|py| {
                set_title(py, &worker);
                let load: Load = if greenlets == 0 {
                    load
                } else {
                    let hub = greenlets::hub(py, is_program)?;
                    let loaded = greenlets::load_blocking(py, hub, load, &worker)?;
                    Box::new(|_, _| Ok(loaded))
                };
                build(py, load, &worker, &settings, &name)
            })?,
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
    let callable = load(py, worker.config())?;
    let config = worker.config();
    let wsgi = settings.wsgi(config);
    let cfg = SettingsView::new(py, worker.server(), config, worker.program(), &wsgi)
        .and_then(|cfg| Py::new(py, cfg))
        .map_err(|error| LoadError::new(py, name, &error))?;
    if wsgi.greenlet > 0 {
        greenlets::log_connections(worker, wsgi.greenlet);
    }
    let app = PythonApp::builder()
        // Even a single worker has a sibling while it is replaced.
        .multiprocess(!is_standalone(worker))
        .script_name(&wsgi.script_name)
        .max_body(wsgi.max_body)
        .max_spooled(wsgi.max_spooled)
        .max_spooled_response(wsgi.max_spooled_response)
        .max_spooled_bodies(wsgi.max_spooled_bodies)
        .strict(wsgi.strict)
        .thread_workers(config.thread_workers)
        // A server that accepts more connections does so for their requests.
        .max_queued(MAX_QUEUED.max(config.max_connections))
        .websocket_threads(wsgi.websocket_threads)
        .greenlets(wsgi.greenlet)
        .build(callable.bind(py), name, &[("pulsar.cfg", cfg.into_any())])?;
    worker.monitor(&app);
    Ok(app)
}

fn is_standalone(worker: &WorkerContext) -> bool {
    matches!(worker.config().workers, Workers::Count(0))
}

/// Sets the command line of a worker to its name and number if the package `setproctitle` is installed, as gunicorn
/// does.
fn set_title(py: Python<'_>, worker: &WorkerContext) {
    if is_standalone(worker) {
        return;
    }
    let Ok(package) = py.import("setproctitle") else {
        return;
    };
    let title = format!("{}: worker {}", worker.server(), worker.slot());
    // The package also sets the short name, to the beginning of the title, which does not tell workers apart.
    let short = fs::read("/proc/self/comm");
    // The title is only informative: errors are ignored.
    let _ = package.call_method1("setproctitle", (title,));
    let _ = short.and_then(|name| fs::write("/proc/self/comm", name));
}

/// Replaces Python's handler of `SIGINT` by the default. It cannot interrupt Rust code that waits, and raises
/// `KeyboardInterrupt` in the Python code that runs next: after a clean stop, or in a request on the event loop. Returns
/// whether this is Python's main thread: in another one, nothing changes, and Python raises no interrupt.
fn reset_interrupt_handler(py: Python<'_>) -> PyResult<bool> {
    let signal = py.import("signal")?;
    let arguments = (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?);
    match signal.call_method1("signal", arguments) {
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Serves until it is stopped. Returns the exit code, except in a process that has loaded an application: that exits
/// here. Outside of Python's main thread it serves on this thread, and returns.
pub(super) fn serve(py: Python<'_>, setups: Vec<ServerSetup>) -> PyResult<u8> {
    if !reset_interrupt_handler(py)? {
        return Ok(py.detach(|| number(run(setups, None, supervisor()))));
    }
    let (stop, reason) = oneshot::channel();
    let main_thread = MainThread::new(stop)?;
    let handle = main_thread.handle();
    let serve = move || {
        let _ended = handle.end_guard();
        let reason = async {
            match reason.await {
                Ok(reason) => reason,
                // A signal handler did not stop it; the supervisor does.
                Err(_) => pending().await,
            }
        };
        let code = number(run(setups, Some(&handle), supervisor().stop_when(reason)));
        pool_threads::wait_for_end();
        code
    };
    let thread = thread::Builder::new()
        .name("server".into())
        .stack_size(pool_threads::stack_size())
        .spawn(serve)?;
    let raised = main_thread.run(py);
    // Detached, because the thread may need the interpreter before it ends.
    let joined = py.detach(|| thread.join());
    let mut code = joined.map_err(|_| PyRuntimeError::new_err("the server's thread panicked"))?;
    let loaded = mem::take(&mut *lock(&LOADED));
    if loaded.is_empty() {
        return raised.map_or(Ok(code), Err);
    }
    // A worker exits with 0 even so: the supervisor has replaced it before.
    let is_standalone = loaded.iter().any(is_standalone);
    if let Some(error) = raised.filter(|_| code == 0 && is_standalone) {
        code = exit::code_of(py, &error);
    }
    exit::exit(
        py,
        code,
        loaded.iter().filter_map(WorkerContext::deadline).max(),
    )?;
    Ok(code)
}

fn supervisor() -> Supervisor {
    // The interpreter finds its virtual environment by the name of its program.
    Supervisor::new().keep_name()
}

fn run(
    setups: Vec<ServerSetup>,
    main_thread: Option<&MainThreadHandle>,
    supervisor: Supervisor,
) -> ExitCode {
    let servers = setups
        .into_iter()
        .map(|setup| server(setup, main_thread.cloned()))
        .map(Server::platform_variables);
    servers.fold(supervisor, Supervisor::server).run()
}

/// Sends a command to a running server. Returns the exit code.
pub(super) fn control(py: Python<'_>, ctl: &cli::Ctl) -> PyResult<u8> {
    reset_interrupt_handler(py)?;
    Ok(py.detach(|| number(ctl.run())))
}

fn number(code: ExitCode) -> u8 {
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    number.unwrap_or(1)
}
