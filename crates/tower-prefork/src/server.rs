//! One application: [`Server`].

use std::{future::Future, sync::Arc};

use tokio::sync::watch;

use crate::{
    Config, Phase, WorkerContext, Workers,
    config::ConfigSources,
    hooks::{ProcessEvent, ProcessHooks},
    phase::Phases,
    worker::Application,
};
use tower_serve::{BoxError, HttpService};

/// One application on its addresses, served by its own worker processes.
///
/// Call [`run`](Self::run) first in `main`: a worker is the same program, executed again with the same arguments, so the
/// code before `run` is executed in every process.
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use tower_prefork::{BoxError, Server, Workers};
///
/// fn main() -> std::process::ExitCode {
///     Server::new("hello")
///         .bind("127.0.0.1:8000")
///         .workers(Workers::Count(4))
///         .thread_workers(10)
///         .service(|_worker| async {
///             Ok::<_, BoxError>(Router::new().route("/", get(|| async { "hello" })))
///         })
///         .run()
/// }
/// ```
///
/// # Start
///
/// The server is ready when all of its workers are ready; then the addresses are logged. If a worker cannot start, the
/// others are ended, the reason is printed to standard error, and the exit code is not 0.
///
/// # Signals
///
/// | signal | effect |
/// |---|---|
/// | `SIGTERM`, `SIGINT` | after the [delay](Config::shutdown_delay), which is none by default, the listeners close, running requests finish, and connections that the kernel has queued are served. Requests that still run at the [deadline](Config::graceful_timeout) are cut |
/// | the same again, or `SIGQUIT` | the program exits at once |
/// | `SIGHUP` | the configuration is read again and the workers are [replaced](#reload); no request fails |
/// | `SIGUSR2` | a new supervisor [takes over](#upgrade); no request fails |
/// | `SIGUSR1` | all processes open their log files again |
/// | `SIGTTIN`, `SIGTTOU` | adds or removes one worker of each server; the next reload restores the configured number |
///
/// A worker that itself gets `SIGTERM` or `SIGQUIT` drains or exits, and is replaced. One that gets `SIGUSR1` opens its log
/// files again. It ignores the other signals, as does a program with 0 workers. When the supervisor dies, its workers drain
/// and exit.
///
/// # Reload
///
/// At `SIGHUP` the workers are replaced one after another. A new worker is this program, executed again and found as at the
/// start: if its file was replaced, or a symbolic link in its path has changed, the new program is executed.
///
/// Before that, the supervisor reads the settings again: the configuration file, and the closures of
/// [`configure`](Self::configure). Invalid settings are refused as a whole, with a line in the log, and nothing changes.
/// Otherwise the server listens on new addresses, and closes those that are not configured any more when the workers are
/// replaced. The sockets of the other addresses are kept, with their queued connections. A worker that dies later is started
/// with the settings that were accepted, even if the file has changed. The settings of the program
/// ([`ProgramConfig`](crate::ProgramConfig)) do not change.
///
/// The old worker serves until the new one is ready. Then it leaves new connections to the others, finishes its requests,
/// and exits within the [deadline](Config::graceful_timeout). The last response of each connection has
/// `Connection: close`. An idle connection stays open for one more request for 5 seconds, or half of the deadline if that is
/// less. During a reload there may be two processes for each worker, but never more: the next reload waits for a process
/// that still drains.
///
/// If a new worker cannot start, the old one keeps serving, the reload ends, and the log has the reason. If it was the first
/// worker, the previous settings are restored. Any number of `SIGHUP`s during the start or a reload cause one more reload
/// afterwards. A stop ends a reload at once, and the deadline is the same for old and new workers.
///
/// # Upgrade
///
/// At `SIGUSR2` the program is executed again, as at its start, and gets the listeners. When all of the new workers are
/// ready, the new supervisor takes over the pid file and the control socket; the old one retires its workers and exits with
/// code 0. If the new one ends before that, or is not ready within the longest [`start_timeout`](Config::start_timeout) and
/// 10 seconds, it is killed and the old one keeps serving. If the old one dies meanwhile, the new one continues. A program
/// that is process 1 of its container refuses an upgrade, because the container would end with it.
///
/// # Recycled and stuck workers
///
/// A worker is replaced, as in a reload but one of a server at a time, when it has reached its
/// [`max_requests`](Config::max_requests), [`max_lifetime`](Config::max_lifetime) or [`max_rss`](Config::max_rss), or when a
/// job that no client waits for has run for longer than the [`request_timeout`](crate::Http::request_timeout). A worker whose
/// event loop is stuck for the [`heartbeat_timeout`](Config::heartbeat_timeout) cannot drain, and is killed.
///
/// # systemd
///
/// Sockets that are passed to the program (`LISTEN_FDS`, for example of a `.socket` unit) replace the configured addresses.
/// They must be listening stream sockets. In a program with several servers each has the name of its server
/// (`FileDescriptorName=`); a server without such a socket binds its own addresses. The sockets are kept in a reload and an
/// upgrade. They are not closed at a stop, because systemd holds them: a new connection waits for the next start. systemd
/// removes their files.
///
/// With `Type=notify` systemd is notified (`NOTIFY_SOCKET`) when all workers are ready, of reloads and stops, and which
/// process is the main process after an upgrade (set `NotifyAccess=all`). If `WatchdogSec=` is set, the supervisor feeds the
/// watchdog at half of that time.
///
/// # Names of the processes
///
/// With a server `shop`, `top` and `ps -o comm` show `sho: supervisor` and `shop: worker 2`: the kernel keeps 15 bytes, and
/// the role is never cut. If there are several servers, the supervisor has the name of the first one. `ps -o args` shows
/// `shop: worker 2` and the arguments for a worker, and the original command line for the supervisor.
///
/// # Exit codes
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped by a signal, even if the deadline cut requests; the log has their number |
/// | 1 | the server could not start: an address is in use, a file cannot be opened, a service cannot be built |
/// | 2 | the settings are invalid: a malformed address, a number out of its range, a configuration file that cannot be read |
#[derive(Debug)]
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    pub(crate) name: String,
    pub(crate) sources: ConfigSources,
    pub(crate) hooks: ProcessHooks,
    pub(crate) application: Option<Application>,
    pub(crate) phases: Phases,
}

impl Server {
    /// A server with the defaults of [`Config`]. The name appears in logs and errors.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            sources: ConfigSources::default(),
            application: None,
            hooks: ProcessHooks::default(),
            phases: Phases::default(),
        }
    }

    /// Listens on one more address. The default is `127.0.0.1:8000`.
    ///
    /// | form | address |
    /// |---|---|
    /// | `HOST:PORT` | an IPv4 address, or all addresses of a name |
    /// | `[IPV6]:PORT` | an IPv6 address, and IPv6 only |
    /// | `:PORT` | every address of this machine, IPv4 and IPv6 |
    /// | `PORT` | `127.0.0.1` |
    /// | an IP address, `localhost` | port 8000 |
    /// | `unix:PATH` | a Unix socket. A file that a dead program has left is replaced; the file is removed at the end |
    ///
    /// Port 0 takes a free port, which is logged. `http://` and `tcp://` before an address, and `//` after `unix:`, have no
    /// effect. The permissions of a Unix socket are [`Config::socket_mode`]. Abstract sockets, which have no permissions, are
    /// refused.
    pub fn bind(self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.configure(move |config| config.bind.push(address.clone()))
    }

    /// The number of worker processes. Default: [`Workers::Auto`].
    pub fn workers(self, workers: Workers) -> Self {
        self.configure(move |config| config.workers = workers)
    }

    /// The number of threads for blocking work in each worker, or 0 for a service that does not block. Default: 10. See
    /// [`Config::thread_workers`].
    pub fn thread_workers(self, threads: usize) -> Self {
        self.configure(move |config| config.thread_workers = threads)
    }

    /// Changes any other setting. Later changes override earlier ones.
    ///
    /// Workers get the settings from their supervisor. So `change` is only called in the supervisor, at the start and again at
    /// each [reload](Self#reload), each time with the settings that precede it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_prefork::Server;
    /// let server = Server::new("shop").configure(|config| {
    ///     config.graceful_timeout = Duration::from_secs(10);
    ///     config.http.max_headers = 50;
    /// });
    /// ```
    pub fn configure(mut self, change: impl Fn(&mut Config) + 'static) -> Self {
        self.sources.change(change);
        self
    }

    /// Reads a TOML file, whose settings override earlier ones. It has no tables.
    ///
    /// ```toml
    /// bind = ["127.0.0.1:8000", "unix:/run/shop.sock"]
    /// workers = 4                 # or "auto"
    /// graceful_timeout = "30s"    # or a number of seconds; "500ms", "5m", "1h"
    /// max_rss = "512M"            # or a number of bytes; "16K", "2G"
    /// umask = "027"
    /// access_log = "access.log"
    /// access_log_format = "json"
    /// ```
    ///
    /// The keys are the settings of [`Config`] and [`ProgramConfig`](crate::ProgramConfig), by the names of their
    /// options with `_` for `-`. Paths are relative to the directory that the program was started in.
    ///
    /// The supervisor reads the file at the start and again at each [reload](Self#reload); workers
    /// never do. A file that cannot be read, is not TOML or is longer than 1 MiB, an unknown key,
    /// and an invalid value are refused as a whole, with the line: the program
    /// does not start, or continues with the settings that it has.
    #[cfg(feature = "config-file")]
    pub fn config_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.sources.file(path.into());
        self
    }

    /// Lets the [configuration file](Self::config_file) have a key of the program's own, with values of type `T`.
    /// A value of another type is refused with its line, at the start and at a [reload](Self#reload).
    ///
    /// A worker finds the value that its supervisor has read in its
    /// [settings](crate::Config::file_value):
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # use tower_prefork::{BoxError, Server};
    /// Server::new("shop")
    ///     .config_file("shop.toml") // database = "postgres://localhost/shop"
    ///     .file_key::<String>("database")
    ///     .service(|worker| async move {
    ///         let database = worker.config().file_value::<String>("database");
    /// #       drop(database);
    ///         // …
    /// #       Ok::<_, BoxError>(Router::new())
    ///     });
    /// ```
    #[cfg(feature = "config-file")]
    pub fn file_key<T: serde::de::DeserializeOwned>(mut self, name: &'static str) -> Self {
        self.sources.file_key::<T>(name);
        self
    }

    /// Lets the [configuration file](Self::config_file) have settings of the program's own, declared by
    /// [`settings!`](crate::settings!). Invalid ones are refused with their line, at the start and at a [reload](Self#reload). A
    /// worker finds the values in its [settings](crate::Config::file_settings).
    #[cfg(feature = "config-file")]
    pub fn file_settings<S: crate::settings::Settings>(mut self) -> Self {
        self.sources.file_settings::<S>();
        self
    }

    /// Uses the environment variables of hosting platforms for settings that have no other value: the address is
    /// `0.0.0.0:$PORT`, the number of workers is `$WEB_CONCURRENCY`, and the [trusted proxies](crate::Config::forwarded_allow_ips)
    /// are `$FORWARDED_ALLOW_IPS`, as gunicorn and uvicorn read it. An empty variable is ignored, but for the last one, which
    /// then trusts no one; one that is not valid is refused.
    pub fn platform_variables(mut self) -> Self {
        self.sources.platform();
        self
    }

    /// Applies the configuration file of the command line, and then the environment and the command line itself. They override
    /// earlier settings.
    #[cfg(feature = "cli")]
    pub fn args(mut self, args: &crate::cli::Args) -> Self {
        if let Some(path) = &args.config {
            self = self.config_file(path);
        }
        self.sources
            .override_with(args.server.clone(), args.program.clone());
        self
    }

    /// Calls `hook` in the supervisor at each step of a worker process, for example to count deaths or to send an alert.
    ///
    /// It runs on the supervisor's only thread, so work that takes time belongs on another thread. A panic is logged. For the
    /// steps inside a worker there are [`WorkerContext::on_step`](crate::WorkerContext::on_step) and
    /// [`WorkerContext::on_connection`](crate::WorkerContext::on_connection).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use tower_prefork::{ProcessStep, Server};
    ///
    /// static ENDED: AtomicUsize = AtomicUsize::new(0);
    ///
    /// let server = Server::new("shop").on_process(|event| {
    ///     if let ProcessStep::Ended { cause } = event.step {
    ///         ENDED.fetch_add(1, Ordering::Relaxed);
    ///         println!("{}: worker {} (pid {}) {cause}", event.server, event.slot, event.pid);
    ///     }
    /// });
    /// # drop(server);
    /// ```
    pub fn on_process(mut self, hook: impl Fn(ProcessEvent<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.add(Arc::new(hook));
        self
    }

    /// Sets the service. `make` is called once in each worker, before the worker accepts connections; it may block.
    ///
    /// The service is cloned for each connection. Requests have a [`ConnectInfo`](crate::ConnectInfo) in their extensions. If
    /// `make` returns an error or panics, the start fails.
    pub fn service<M, F, S, E>(mut self, make: M) -> Self
    where
        M: FnOnce(WorkerContext) -> F + 'static,
        F: Future<Output = Result<S, E>> + 'static,
        E: Into<BoxError> + 'static,
        S: HttpService,
    {
        self.application = Some(Application::new(make));
        self
    }

    /// The phase of the server, for example for a test that waits until it is ready.
    ///
    /// It changes in the main process of the program: the supervisor, or the process that serves with 0 workers. In a worker,
    /// use [`WorkerContext::phases`].
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }
}
