//! The builders: [`Server`] and [`Arbiter`].

use std::{fmt::Display, future::Future, process::ExitCode};

use crate::{
    BoxError, Config, HttpService, Worker, Workers, access_log,
    config::{DEFAULT_ADDRESS, of_program},
    control::{self, MAX_LISTENERS, Socket},
    listener::{self, Address, Bound},
    supervisor::{self, Charge, Predecessor},
    worker::{self, Alone, Application},
};

/// Exit code when the program cannot start, or cannot go on.
const FAILED: u8 = 1;
/// Exit code when what was configured makes no sense.
const MISCONFIGURED: u8 = 2;

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
/// | `SIGTERM`, `SIGINT` | the listeners close, running requests finish, connections that the kernel has queued are served; what is left at the [deadline](Config::graceful_timeout) is cut |
/// | the same again, or `SIGQUIT` | all ends at once |
/// | `SIGHUP` | the workers are [replaced](#reload), and no request fails |
///
/// A worker that gets `SIGTERM` or `SIGQUIT` itself does the same and is replaced; it ignores
/// `SIGHUP`, as does a program with 0 workers. When the supervisor dies, its workers drain and end.
///
/// # Reload
///
/// At `SIGHUP` the workers are replaced one after another. A new worker is this program executed
/// again, found as it was at the start: another binary at its path is picked up, also where a
/// symbolic link now leads elsewhere. The addresses, the number of workers and the supervisor's
/// own time-outs stay as they are.
///
/// The old worker serves until the new one is ready. Then it leaves new connections to the
/// others, finishes its requests, and ends within the [deadline](Config::graceful_timeout). The
/// last response of each connection says `Connection: close`; a connection that is idle may have
/// one more request for 5 seconds (for half of the deadline, if that is less). So while a reload
/// goes on, there may be two processes for each worker, and never more: the next reload waits for
/// a process that still drains.
///
/// When a new worker cannot start, the old one goes on, the reload ends there, and the log says
/// why. A `SIGHUP` during the start or during a reload is one more reload afterwards, however many
/// come. A stop ends a reload at once, and the deadline is the same for old and new workers.
///
/// # Exit codes
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped by a signal, also when the deadline cut requests: a line in the log counts them |
/// | 1 | could not start: an address is taken, a file cannot be opened, a service cannot be built |
/// | 2 | what was configured makes no sense: an address that is none, a number out of its limits |
#[derive(Debug)]
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) application: Option<Application>,
}

impl Server {
    /// A server with the defaults of [`Config`]. The name appears in logs and errors.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            config: Config::default(),
            application: None,
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
    /// | `unix:PATH` | a Unix socket. A file that a dead program left is replaced; the file is removed at the end |
    ///
    /// Port 0 takes a free port; the log says which.
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.config.bind.push(address.into());
        self
    }

    /// How many worker processes there are. Default: [`Workers::Auto`].
    pub fn workers(mut self, workers: Workers) -> Self {
        self.config.workers = workers;
        self
    }

    /// Threads for blocking work in each worker, or 0 for a service that does not block. Default: 10. See [`Config::thread_workers`].
    pub fn thread_workers(mut self, threads: usize) -> Self {
        self.config.thread_workers = threads;
        self
    }

    /// Changes any other setting.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_prefork::Server;
    /// let server = Server::new("shop").configure(|config| {
    ///     config.graceful_timeout = Duration::from_secs(10);
    ///     config.http.max_headers = 50;
    /// });
    /// ```
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Lets the command line and the environment override what was set before.
    #[cfg(feature = "cli")]
    pub fn args(mut self, args: &crate::cli::Args) -> Self {
        args.apply(&mut self.config);
        self
    }

    /// What to serve. `make` is called once in each worker, before it accepts; it may block.
    ///
    /// The service is cloned for each connection. The requests carry a
    /// [`Connection`](crate::Connection) in their extensions. An error or a panic of `make` is an error
    /// of the start.
    pub fn service<M, F, S, E>(mut self, make: M) -> Self
    where
        M: FnOnce(Worker) -> F + 'static,
        F: Future<Output = Result<S, E>> + 'static,
        E: Into<BoxError> + 'static,
        S: HttpService,
    {
        self.application = Some(Application::new(make));
        self
    }

    /// Serves until an operator stops the program. See [`Server`] for the exit codes.
    #[must_use = "the exit code tells whether the server could start"]
    pub fn run(self) -> ExitCode {
        Arbiter::new().server(self).run()
    }
}

/// Several servers under one supervisor.
///
/// Each has its own addresses, workers and threads. They start and stop together: when one
/// cannot start, none does, and a stop waits for the longest
/// [`graceful_timeout`](Config::graceful_timeout).
#[derive(Debug, Default)]
#[must_use = "an arbiter does nothing until it runs"]
pub struct Arbiter {
    servers: Vec<Server>,
}

impl Arbiter {
    /// An arbiter without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server. Their names must differ.
    pub fn server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    /// Serves until an operator stops the program. See [`Server`] for the exit codes.
    #[must_use = "the exit code tells whether the servers could start"]
    pub fn run(self) -> ExitCode {
        match Socket::inherited(control::MARKER) {
            Ok(Some(socket)) => worker::run(self.servers, socket),
            Ok(None) => match supervise(self.servers) {
                Ok(()) => ExitCode::SUCCESS,
                Err((code, error)) => fail(code, error),
            },
            Err(error) => fail(FAILED, format_args!("a worker cannot start: {error}")),
        }
    }
}

fn fail(code: u8, error: impl Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

fn supervise(servers: Vec<Server>) -> Result<(), (u8, String)> {
    let predecessor =
        Predecessor::inherited().map_err(|error| (FAILED, format!("cannot take over: {error}")))?;
    let addresses = check(&servers).map_err(|error| (MISCONFIGURED, error))?;
    let alone = servers
        .iter()
        .all(|server| server.config.workers == Workers::Count(0));

    if alone && predecessor.is_some() {
        let error = "0 workers cannot take over from a supervisor; stop it first, then start";
        return Err((MISCONFIGURED, error.into()));
    }

    let mut charges = Vec::new();
    let mut single = Vec::new();
    let unbound = Bound::default();
    for (server, addresses) in servers.into_iter().zip(addresses) {
        if let Some(log) = &server.config.access_log {
            access_log::check(log)
                .map_err(|error| (FAILED, format!("{}: {error}", server.name)))?;
        }
        let before = predecessor.as_ref().and_then(|one| one.bound(&server.name));
        let bound = bind(
            &addresses,
            server.config.backlog,
            before.unwrap_or(&unbound),
        )
        .map_err(|error| (FAILED, error))?;
        let Server {
            name,
            config,
            application,
        } = server;
        match application {
            Some(application) if alone => single.push(Alone {
                name,
                config,
                application,
                bound,
            }),
            _ => charges.push(Charge {
                name,
                config,
                bound,
            }),
        }
    }
    let served = if alone {
        worker::run_single(single)
    } else {
        supervisor::run(charges, predecessor)
    };
    served.map_err(|error| (FAILED, error))
}

/// Checks what needs no look at the machine. Gives the addresses of each server.
pub(crate) fn check(servers: &[Server]) -> Result<Vec<Vec<Address>>, String> {
    if servers.is_empty() {
        return Err("no server was given; add one with Arbiter::server".into());
    }
    let alone = |server: &Server| server.config.workers == Workers::Count(0);
    if servers.iter().any(alone) && !servers.iter().all(alone) {
        return Err("0 workers means one process: give 0 to all servers or to none".into());
    }
    agree(servers)?;
    let mut all = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let name = &server.name;
        if servers[..index].iter().any(|other| other.name == *name) {
            return Err(format!("{name}: two servers have this name"));
        }
        if server.application.is_none() {
            return Err(format!("{name}: nothing to serve; call Server::service"));
        }
        let config = &server.config;
        config
            .validate()
            .map_err(|error| format!("{name}: {error}"))?;
        let mut addresses = config.bind.iter().map(String::as_str).collect::<Vec<_>>();
        if addresses.is_empty() {
            addresses.push(DEFAULT_ADDRESS);
        }
        let addresses: Result<_, _> = addresses.into_iter().map(str::parse).collect();
        all.push(addresses?);
    }
    Ok(all)
}

/// Checks what belongs to the whole program.
fn agree(servers: &[Server]) -> Result<(), String> {
    let each = || servers.iter().map(|server| &server.config);
    of_program(each(), "pid_file", |config| config.pid_file.as_ref())?;
    of_program(each(), "control_socket", |config| {
        config.control_socket.as_ref()
    })?;
    of_program(each(), "user", |config| config.user.as_ref())?;
    of_program(each(), "group", |config| config.group.as_ref())?;
    of_program(each(), "umask", |config| config.umask.as_ref())?;
    Ok(())
}

pub(crate) fn bind(addresses: &[Address], backlog: u32, before: &Bound) -> Result<Bound, String> {
    let bound = listener::bind(addresses, backlog, before).map_err(|error| error.to_string())?;
    let count = bound.listeners.len();
    if count > MAX_LISTENERS {
        return Err(format!(
            "{count} addresses are too many for one server; give at most {MAX_LISTENERS}"
        ));
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn server(name: &str) -> Server {
        Server::new(name).service(|_| async { Ok::<_, Infallible>(axum::Router::new()) })
    }

    fn refused(servers: &[Server]) -> String {
        check(servers).unwrap_err()
    }

    #[test]
    fn a_plain_router_is_a_service() {
        let addresses = check(&[server("shop")]).unwrap();
        assert_eq!(addresses, [["127.0.0.1:8000".parse().unwrap()]]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(refused(&[]).contains("no server"));
        assert!(refused(&[Server::new("shop")]).contains("shop: nothing to serve"));
        assert!(refused(&[server("a"), server("a")]).contains("two servers"));
        assert!(refused(&[server("a").bind("nowhere")]).contains("cannot listen on \"nowhere\""));
        assert!(refused(&[server("a").thread_workers(5000)]).contains("a: thread_workers is 5000"));
        let single = server("b").workers(Workers::Count(0));
        assert!(refused(&[server("a"), single]).contains("one process"));
        let with_umask =
            |name, umask| server(name).configure(move |config| config.umask = Some(umask));
        let differ = [with_umask("a", 0o22), server("b"), with_umask("c", 0o27)];
        assert!(refused(&differ).contains("two servers differ in umask"));
    }
}
