#[cfg(feature = "config-file")]
use std::path::Path;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use tower_serve::Http;

use super::Workers;
#[cfg(feature = "cli")]
use crate::cli::FileLog;
use tower_serve::AccessLog;
#[cfg(feature = "config-file")]
use tower_serve::AccessLogFormat;
#[cfg(feature = "tls")]
use tower_serve::Tls;

/// Where a server listens when nothing else is said.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:8000";

/// What can be set for one server.
///
/// [`Server::configure`](crate::Server::configure) changes it, and
/// [`WorkerContext::config`](crate::WorkerContext::config) shows it to the service.
#[derive(Clone, Debug, Serialize, Deserialize)]
// A worker may be of a later version than its supervisor, with settings that this one has not.
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on, see [`Server::bind`](crate::Server::bind) for their forms.
    /// Empty means `127.0.0.1:8000`. At most 64.
    pub bind: Vec<String>,
    /// Worker processes. Default: one per core.
    pub workers: Workers,
    /// Threads for blocking work in each worker. Default: 10; from 0 to 4096.
    ///
    /// The service takes its pool's size from here. A worker that has this many requests
    /// running leaves new connections to its siblings while they are idle.
    ///
    /// 0 is for services that do not block: they run on the event loop alone, and the number of
    /// running requests says nothing of how busy a worker is.
    pub thread_workers: usize,
    /// Connections that the kernel queues per address until a worker accepts them.
    /// Default: 2048. The kernel lowers it to `net.core.somaxconn`; beyond it, clients retry.
    pub backlog: u32,
    /// Connections that one worker holds open at once. Default: 1024.
    ///
    /// At the limit the worker stops accepting until one ends. The limit of open files
    /// (`RLIMIT_NOFILE`) lowers it.
    pub max_connections: usize,
    /// How long a stop, or a worker that was replaced, waits for running requests before it cuts
    /// them. Default: 30 seconds.
    pub graceful_timeout: Duration,
    /// How long a worker may take to build its service. Default: 60 seconds. One that takes
    /// longer is killed and counts as a start, or a reload, that failed.
    pub start_timeout: Duration,
    /// How long the event loop of a worker may be stuck before the worker is killed and
    /// replaced. Default: 30 seconds; at least 2.
    pub heartbeat_timeout: Duration,
    /// How long a stop goes on serving before anything is closed. Default: 0.
    ///
    /// Meanwhile [`readiness_path`](Self::readiness_path) answers 503, so that a load balancer sends new
    /// requests elsewhere, and nobody who has not heard of it yet is refused. Each response is the last of its
    /// connection, so that hardly any is idle when they are closed: a proxy could be about to use it again.
    pub shutdown_delay: Duration,
    /// A path that the server answers by itself: 200 while it serves, 503 during the
    /// [`shutdown_delay`](Self::shutdown_delay) and the drain. The service is not asked, so it is answered
    /// when all threads are busy, too. Default: none.
    ///
    /// For `GET` and `HEAD` of exactly this path; anything else is the service's. During a reload or an upgrade
    /// the answer stays 200, as the server as a whole is ready. It is a request as others are for the access log
    /// and for [`max_requests`](Self::max_requests).
    pub readiness_path: Option<String>,
    /// A worker is replaced after it has been sent so many requests. Default: 0, never.
    ///
    /// Each worker takes up to a tenth less by chance, so that not all are replaced at once.
    pub max_requests: u64,
    /// A worker is replaced when it has served for so long. Default: never; at least a second.
    ///
    /// Each worker takes up to a tenth less by chance.
    pub max_lifetime: Option<Duration>,
    /// A worker is replaced when more bytes of its memory than this are resident. Default: never; at
    /// least 1 MiB.
    pub max_rss: Option<u64>,
    /// A file with the process id of the supervisor, for as long as it runs. Default: none.
    ///
    /// It is there before the server is ready. The supervisor holds a lock on it (`flock`): a second start is
    /// refused while the first one runs, and a file that a process left without removing it is replaced. Its
    /// directory must be one that the supervisor may write to.
    ///
    /// This, and each setting below that says so, belongs to the whole program: in one with several
    /// servers, those that set it must agree.
    pub pid_file: Option<PathBuf>,
    /// A Unix socket, for the supervisor's user and root alone, at which `cli::Ctl`, or any other
    /// program, asks and tells this one. Default: none. Belongs to the whole program; there must be a
    /// supervisor, so not with 0 workers.
    ///
    /// A request is a JSON object on a line of its own, of at most 4 KiB, and so is its answer:
    /// `{"ok":true}`, for `status` with the state of all workers in `"status"`, or
    /// `{"ok":false,"error":"…"}`. Up to 16 connections are open at once, each for as many requests as it
    /// likes; one that asks nothing for 30 seconds is closed.
    ///
    /// | request | what happens |
    /// |---|---|
    /// | `{"command":"status"}` | answered at once, also while the program starts or stops |
    /// | `{"command":"reload"}` | as `SIGHUP`; answered when the reload is over |
    /// | `{"command":"scale","workers":4}` | so many workers, up to the next reload |
    /// | `{"command":"restart","slot":0}` | replaces this worker; answered when the new one serves |
    /// | `{"command":"upgrade"}` | as `SIGUSR2`; answered when the new supervisor serves |
    /// | `{"command":"stop"}` | answered at once; then as `SIGTERM` |
    ///
    /// `scale` and `restart` take a `"server"`, by its name, where the program has several.
    pub control_socket: Option<PathBuf>,
    /// The user, by name or number, that workers run as; the supervisor must be root. Default: the
    /// supervisor's own. Belongs to the whole program.
    ///
    /// The supervisor stays root: it listens on what only root may, and runs none of the service's code. Its
    /// Unix sockets and its access log are given to the user and the group. Workers are in that group alone;
    /// other groups of the user, and its environment (`HOME`), are not looked up. The program and the
    /// directory that it is started in must be ones that the user can reach.
    pub user: Option<String>,
    /// The group, by name or number, that workers run in; the supervisor must be root. Default: the
    /// user's own group, or the supervisor's. Belongs to the whole program.
    pub group: Option<String>,
    /// Permissions that new files of the program do not get, as in `0o027`. Default: what the program was
    /// started with. Belongs to the whole program, and is set before any file is
    /// created.
    pub umask: Option<u32>,
    /// Permissions of the server's Unix sockets, whatever the umask is. Default: `0o660`, so that the user and the
    /// group of the workers may connect: the sockets belong to [`user`](Self::user) and [`group`](Self::group).
    /// Sockets that the service manager has passed keep theirs.
    pub socket_mode: u32,
    /// Directories whose files are watched: when one changes, the workers are replaced, as by
    /// `SIGHUP`. For development. Default: none, and nothing is watched.
    ///
    /// The program itself is watched, too. What editors, builds and a running program write is
    /// left out: hidden files and directories, `__pycache__`, `node_modules`, `target`, `*.pyc`,
    /// backups, logs and SQLite databases.
    ///
    /// New code should answer soon, so a worker that was replaced closes its idle connections at
    /// once, and the next change ends it even if it still has requests.
    #[cfg(feature = "watch")]
    pub watch: Vec<PathBuf>,
    /// The certificate with which all TCP addresses of the server speak HTTPS. Default: none, HTTP. Unix sockets
    /// are never encrypted.
    #[cfg(feature = "tls")]
    #[serde(flatten)]
    pub tls: Option<Tls>,
    /// Where the requests are logged. Default: nowhere.
    pub access_log: Option<AccessLog>,
    /// What was said of the access log's format, also before there is a log.
    #[cfg(feature = "config-file")]
    #[serde(skip)]
    pub(crate) access_log_format: Option<AccessLogFormat>,
    /// What a file says of the program's log.
    #[cfg(feature = "cli")]
    #[serde(flatten)]
    pub(crate) log: FileLog,
    /// What a file says for keys of the program's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) own: BTreeMap<String, serde_json::Value>,
    /// Limits of the HTTP connections.
    #[serde(flatten)]
    pub http: Http,
}

impl Config {
    /// What the configuration file says for a [key of the program's own](crate::Server::file_key), if it
    /// says anything.
    #[cfg(feature = "config-file")]
    #[must_use]
    pub fn file_value<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        // It was checked when the file was read.
        T::deserialize(self.own.get(name)?).ok()
    }

    /// Directories whose files are watched.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        #[cfg(feature = "watch")]
        let Self { watch, .. } = self;
        #[cfg(not(feature = "watch"))]
        let (Self { .. }, watch) = (self, &[]);
        watch
    }

    /// Whether TCP connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        let Self { tls, .. } = self;
        #[cfg(not(feature = "tls"))]
        let (Self { .. }, tls) = (self, None::<()>);
        tls.is_some()
    }

    /// Changes the file of the certificate, or that of its key, or both.
    #[cfg(all(feature = "config-file", feature = "tls"))]
    pub(crate) fn encrypt(&mut self, certificate: Option<&Path>, key: Option<&Path>) {
        if certificate.is_none() && key.is_none() {
            return;
        }
        let tls = self.tls.get_or_insert_with(|| Tls::new("", ""));
        if let Some(certificate) = certificate {
            tls.certificate = certificate.to_owned();
        }
        if let Some(key) = key {
            tls.key = key.to_owned();
        }
    }

    /// Changes where the requests are logged, or how, or both. The format alone changes the log that
    /// there is, or that is set later.
    #[cfg(feature = "config-file")]
    pub(crate) fn log_requests(&mut self, path: Option<&Path>, format: Option<AccessLogFormat>) {
        self.access_log_format = format.or(self.access_log_format);
        if let Some(path) = path {
            let before = self.access_log.take();
            let format = before.map(|log| log.format).unwrap_or_default();
            self.access_log = Some(AccessLog::new(path).format(format));
        }
        if let (Some(log), Some(format)) = (&mut self.access_log, self.access_log_format) {
            log.format = format;
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            workers: Workers::Auto,
            thread_workers: 10,
            backlog: 2048,
            max_connections: 1024,
            graceful_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            heartbeat_timeout: Duration::from_secs(30),
            shutdown_delay: Duration::ZERO,
            readiness_path: None,
            max_requests: 0,
            max_lifetime: None,
            max_rss: None,
            pid_file: None,
            control_socket: None,
            user: None,
            group: None,
            umask: None,
            socket_mode: 0o660,
            #[cfg(feature = "watch")]
            watch: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            access_log: None,
            #[cfg(feature = "config-file")]
            access_log_format: None,
            #[cfg(feature = "cli")]
            log: FileLog::default(),
            own: BTreeMap::new(),
            http: Http::default(),
        }
    }
}
