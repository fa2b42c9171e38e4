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
/// [`run`](Self::run) belongs first in `main`: a worker is the same program started again with
/// the same arguments, so what stands before `run` is done in every process.
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
/// The server is ready when all of its workers are; then the addresses are logged. When one
/// cannot start, the others are ended, the reason is printed to standard error as one line, and
/// the exit code is not 0.
///
/// # Signals
///
/// | signal | what happens |
/// |---|---|
/// | `SIGTERM`, `SIGINT` | after the [delay](Config::shutdown_delay), which is none by default, the listeners close, running requests finish, connections that the kernel has queued are served; what is left at the [deadline](Config::graceful_timeout) is cut |
/// | the same again, or `SIGQUIT` | all ends at once |
/// | `SIGHUP` | the configuration is read again and the workers are [replaced](#reload); no request fails |
/// | `SIGUSR2` | a new supervisor [takes over](#upgrade); no request fails |
/// | `SIGUSR1` | the files of the logs are opened again, in all processes |
/// | `SIGTTIN`, `SIGTTOU` | one worker more, one less, of each server; the next reload goes back to what is configured |
///
/// A worker that gets `SIGTERM` or `SIGQUIT` itself does the same and is replaced, and one that gets `SIGUSR1` opens its
/// own files again; it ignores the others, as does a program with 0 workers. When the supervisor dies, its workers drain and end.
///
/// # Reload
///
/// At `SIGHUP` the workers are replaced one after another. A new worker is this program executed
/// again, found as it was at the start: another binary at its path is picked up, also where a
/// symbolic link now leads elsewhere.
///
/// Before that the supervisor goes through the settings again: the configuration file, and the closures of
/// [`configure`](Self::configure). What is wrong is refused as a whole, with a line in the log, and everything
/// stays as it is. Otherwise new addresses are listened on, and those that are gone are closed once the workers
/// are replaced; where the server listens already the socket stays, with what waits in its queue. A worker that
/// dies later is started with the settings that were accepted, whatever the file says by then. The settings of
/// the program ([`ProgramConfig`](crate::ProgramConfig)) are those of its start.
///
/// The old worker serves until the new one is ready. Then it leaves new connections to the
/// others, finishes its requests, and ends within the [deadline](Config::graceful_timeout). The
/// last response of each connection says `Connection: close`; a connection that is idle may have
/// one more request for 5 seconds (for half of the deadline, if that is less). So while a reload
/// goes on, there may be two processes for each worker, and never more: the next reload waits for
/// a process that still drains.
///
/// When a new worker cannot start, the old one goes on, the reload ends there, and the log says
/// why; if it was the first, the settings before the reload hold again. A `SIGHUP` during the start or during a reload is one more reload afterwards, however many
/// come. A stop ends a reload at once, and the deadline is the same for old and new workers.
///
/// # Upgrade
///
/// At `SIGUSR2` the program is executed again, as at its start, and gets the listeners. When all of the new
/// workers are ready, the new supervisor takes over the pid file and the control socket, and the old one retires
/// its workers and ends with code 0. When the new one ends before, or is not ready within the longest
/// [`start_timeout`](Config::start_timeout) and 10 seconds, it is killed and the old one goes on. When the old one
/// dies meanwhile, the new one goes on. A program that is process 1 of its container refuses: the container would
/// end with it.
///
/// # Worn-out and stuck workers
///
/// A worker that has had its [`max_requests`](Config::max_requests), [`max_lifetime`](Config::max_lifetime) or
/// [`max_rss`](Config::max_rss), or on a thread of which a job is past the
/// [`request_timeout`](crate::Http::request_timeout), is replaced as in a reload, one of a server at a time. One
/// whose event loop is stuck for the [`heartbeat_timeout`](Config::heartbeat_timeout) cannot drain: it is killed.
///
/// # systemd
///
/// Sockets that are passed to the program (`LISTEN_FDS`, as by a `.socket` unit) take the place of the addresses
/// that are configured. They must be stream sockets that listen. In a program with several servers each has the
/// name of its server (`FileDescriptorName=`); a server without one binds its own addresses. A reload and an
/// upgrade keep them. At a stop they are not closed, as systemd holds them: a new connection waits for the next
/// start. Their files are systemd's to remove.
///
/// With `Type=notify` systemd hears (`NOTIFY_SOCKET`) when all workers are ready, of reloads and of stops, which
/// process is the main one after an upgrade (set `NotifyAccess=all`), and, if `WatchdogSec=` is set, in half of
/// that time that the supervisor is well.
///
/// # Names of the processes
///
/// With a server `shop`, `top` and `ps -o comm` show `sho: supervisor` and `shop: worker 2`: the kernel keeps
/// 15 bytes, and the role is never cut. Of several servers the supervisor has the first one's name. `ps -o args`
/// shows `shop: worker 2` and the arguments for a worker, and the command line as it was for the supervisor.
///
/// # Exit codes
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped by a signal, also when the deadline cut requests: a line in the log counts them |
/// | 1 | could not start: an address is taken, a file cannot be opened, a service cannot be built |
/// | 2 | what was configured makes no sense: an address that is none, a number out of its limits, a configuration file that cannot be read |
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

    /// Listens on one more address. Without any it is `127.0.0.1:8000`.
    ///
    /// | form | where |
    /// |---|---|
    /// | `HOST:PORT` | an IPv4 address, or all addresses of a name |
    /// | `[IPV6]:PORT` | an IPv6 address, and IPv6 only |
    /// | `:PORT` | every address of this machine, IPv4 and IPv6 |
    /// | `PORT` | `127.0.0.1` |
    /// | an IP address, `localhost` | port 8000 |
    /// | `unix:PATH` | a Unix socket. A file that a dead program left is replaced; the file is removed at the end |
    ///
    /// Port 0 takes a free port; the log says which. `http://` and `tcp://` before an address, and `//` after
    /// `unix:`, say nothing more. The permissions of a Unix socket are [`Config::socket_mode`]; abstract sockets,
    /// which have none, are refused.
    pub fn bind(self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.configure(move |config| config.bind.push(address.clone()))
    }

    /// How many worker processes there are. Default: [`Workers::Auto`].
    pub fn workers(self, workers: Workers) -> Self {
        self.configure(move |config| config.workers = workers)
    }

    /// Threads for blocking work in each worker, or 0 for a service that does not block. Default: 10. See [`Config::thread_workers`].
    pub fn thread_workers(self, threads: usize) -> Self {
        self.configure(move |config| config.thread_workers = threads)
    }

    /// Changes any other setting. What is set later goes over what was set before.
    ///
    /// Workers receive the settings from their supervisor. So `change` is called in the supervisor
    /// alone, at the start and again at each [reload](Self#reload), each time on the settings of the
    /// sources before it.
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

    /// Lets a file override what was set before: a table of TOML without others in it.
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
    /// [`settings!`](crate::settings!). What is wrong is refused with its line, at the start and at a
    /// [reload](Self#reload). A worker finds what the file says in its [settings](crate::Config::file_settings).
    #[cfg(feature = "config-file")]
    pub fn file_settings<S: crate::settings::Settings>(mut self) -> Self {
        self.sources.file_settings::<S>();
        self
    }

    /// Reads the environment variables by which hosting platforms configure a server, for settings that no other
    /// source gives: with `PORT` the address is `0.0.0.0:$PORT`, and `WEB_CONCURRENCY` is the number of workers.
    /// An empty variable counts as not set; one that is not a number is refused.
    pub fn platform_variables(mut self) -> Self {
        self.sources.platform();
        self
    }

    /// Lets the configuration file of the command line, and then the environment and the command
    /// line itself, override what was set before.
    #[cfg(feature = "cli")]
    pub fn args(mut self, args: &crate::cli::Args) -> Self {
        if let Some(path) = &args.config {
            self = self.config_file(path);
        }
        self.sources.give(args.server.clone(), args.program.clone());
        self
    }

    /// Calls `hook` in the supervisor at each step of a worker process: to count deaths, to warn somebody.
    ///
    /// It runs on the supervisor's only thread, which waits for it: hand over what takes its time. A panic is
    /// logged, and nothing else. What happens inside of a worker is told there: see
    /// [`WorkerContext::on_step`](crate::WorkerContext::on_step) and [`WorkerContext::on_connection`](crate::WorkerContext::on_connection).
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

    /// What to serve. `make` is called once in each worker, before it accepts; it may block.
    ///
    /// The service is cloned for each connection. The requests carry a
    /// [`ConnectInfo`](crate::ConnectInfo) in their extensions. An error or a panic of `make` is an error
    /// of the start.
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

    /// What the program is doing, from now on: for those of its own threads that wait for it, as tests do.
    ///
    /// It is told in the process that the program was started as: the supervisor, or the one that serves. In a
    /// worker nothing is; [`WorkerContext::phases`] is for that.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }
}
