//! What can be set: [`Config`], its defaults and its limits.

use std::{
    fmt, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, str::FromStr,
    thread::available_parallelism, time::Duration,
};

use crate::AccessLog;

/// Where a server listens when nothing else is said.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:8000";

/// No wait in this crate is longer, so that adding one to a point in time never overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What can be set for one server.
///
/// [`Server::configure`](crate::Server::configure) changes it, and
/// [`Worker::config`](crate::Worker::config) shows it to the service.
#[derive(Clone, Debug)]
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
    /// requests elsewhere, and nobody who has not heard of it yet is refused.
    pub shutdown_delay: Duration,
    /// A path that the server answers by itself: 200 while it serves, 503 during the
    /// [`shutdown_delay`](Self::shutdown_delay) and the drain. The service is not asked, so it is answered
    /// when all threads are busy, too. Default: none.
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
    /// This, and each setting below that says so, belongs to the whole program: in one with several
    /// servers, those that set it must agree.
    pub pid_file: Option<PathBuf>,
    /// A Unix socket, for the supervisor's user alone, on which the program is asked and told what
    /// `ctl` offers. Default: none. Belongs to the whole program.
    pub control_socket: Option<PathBuf>,
    /// The user, by name or number, that workers run as; the supervisor must be root. Default: the
    /// supervisor's own. Belongs to the whole program.
    pub user: Option<String>,
    /// The group, by name or number, that workers run in; the supervisor must be root. Default: the
    /// user's own group, or the supervisor's. Belongs to the whole program.
    pub group: Option<String>,
    /// Permissions that new files of the program do not get, as in `0o027`. Default: what the program was
    /// started with. Belongs to the whole program.
    pub umask: Option<u32>,
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
    /// Where the requests are logged. Default: nowhere.
    pub access_log: Option<AccessLog>,
    /// Limits of the HTTP connections.
    pub http: Http,
}

/// Limits of HTTP connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http {
    /// For a whole request head, from its first byte. Default: 10 seconds.
    pub header_timeout: Duration,
    /// For an idle connection to send its next request. Default: 65 seconds.
    pub keep_alive_timeout: Duration,
    /// Between two reads of a request body. Default: 30 seconds.
    pub body_timeout: Duration,
    /// For a client that takes nothing of the response. Default: 30 seconds.
    pub write_timeout: Duration,
    /// For the service to begin its response: from the request's head, or the last that it has taken of the
    /// request's body, to the head of the response. Then the client gets 504. Default: 300 seconds.
    ///
    /// When the service still works at the request then, on a thread that cannot be interrupted, the
    /// worker is replaced.
    pub request_timeout: Duration,
    /// Header fields of a request. Default: 100.
    pub max_headers: usize,
    /// Bytes of a request head. Default: 64 KiB; at least 8 KiB.
    pub max_header_size: usize,
}

/// How many worker processes a server has.
///
/// As text it is a number or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One per core that this process may use.
    Auto,
    /// This many. 0 serves in the one process, without a supervisor: for debugging.
    Count(usize),
}

impl Config {
    /// Directories whose files are watched.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        #[cfg(feature = "watch")]
        let Self { watch, .. } = self;
        #[cfg(not(feature = "watch"))]
        let (Self { .. }, watch) = (self, &[]);
        watch
    }

    /// Checks every limit; the error is a sentence for the operator.
    pub(crate) fn validate(&self) -> Result<(), String> {
        between("workers", self.workers.count(), 0..=1024)?;
        if self.workers.count() == 0 && !self.watched().is_empty() {
            return Err(
                "workers is 0, so there is none to replace when a file changes; \
                 choose 1 or more, or watch no files"
                    .into(),
            );
        }
        between("thread_workers", self.thread_workers, 0..=4096)?;
        between("backlog", self.backlog as usize, 1..=i32::MAX as usize)?;
        between("max_connections", self.max_connections, 1..=1 << 20)?;
        between("max_headers", self.http.max_headers, 1..=10_000)?;
        // hyper's read buffer is never smaller.
        let sizes = 8 << 10..=16 << 20;
        between("max_header_size", self.http.max_header_size, sizes)?;

        let moment = Duration::from_millis(1);
        within("graceful_timeout", self.graceful_timeout, Duration::ZERO)?;
        within("start_timeout", self.start_timeout, moment)?;
        // Heartbeats come once a second.
        let beats = Duration::from_secs(2);
        within("heartbeat_timeout", self.heartbeat_timeout, beats)?;
        within("shutdown_delay", self.shutdown_delay, Duration::ZERO)?;
        if let Some(path) = &self.readiness_path
            && !path.starts_with('/')
        {
            return Err(format!("readiness_path is {path:?}; it begins with \"/\""));
        }
        if let Some(lifetime) = self.max_lifetime {
            within("max_lifetime", lifetime, Duration::from_secs(1))?;
        }
        if let Some(rss) = self.max_rss
            && rss < 1 << 20
        {
            return Err(format!("max_rss is {rss} bytes; choose at least 1 MiB"));
        }
        if let Some(umask) = self.umask
            && umask > 0o777
        {
            return Err(format!("umask is {umask:o}; choose from 000 to 777"));
        }
        within("header_timeout", self.http.header_timeout, moment)?;
        within("keep_alive_timeout", self.http.keep_alive_timeout, moment)?;
        within("body_timeout", self.http.body_timeout, moment)?;
        within("write_timeout", self.http.write_timeout, moment)?;
        within("request_timeout", self.http.request_timeout, moment)
    }
}

fn between(name: &str, value: usize, limits: RangeInclusive<usize>) -> Result<(), String> {
    if limits.contains(&value) {
        return Ok(());
    }
    let (low, high) = (limits.start(), limits.end());
    Err(format!(
        "{name} is {value}; choose a number from {low} to {high}"
    ))
}

fn within(name: &str, value: Duration, low: Duration) -> Result<(), String> {
    if (low..=LONGEST).contains(&value) {
        return Ok(());
    }
    Err(format!(
        "{name} is {} seconds; choose from {} to {} seconds",
        value.as_secs_f64(),
        low.as_secs_f64(),
        LONGEST.as_secs(),
    ))
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
            #[cfg(feature = "watch")]
            watch: Vec::new(),
            access_log: None,
            http: Http::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(65),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(300),
            max_headers: 100,
            max_header_size: 64 << 10,
        }
    }
}

impl Workers {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Auto => available_parallelism().map_or(1, NonZeroUsize::get),
            Self::Count(count) => count,
        }
    }
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Count)
            .map_err(|_| "expected a number or \"auto\"".to_owned())
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn limits_are_named_in_the_error() {
        let config = Config {
            thread_workers: 5000,
            ..Config::default()
        };
        assert_eq!(
            config.validate().unwrap_err(),
            "thread_workers is 5000; choose a number from 0 to 4096"
        );

        let config = Config {
            graceful_timeout: Duration::MAX,
            ..Config::default()
        };
        assert!(
            config
                .validate()
                .unwrap_err()
                .starts_with("graceful_timeout is ")
        );

        let mut config = Config::default();
        config.http.max_header_size = 100;
        assert!(config.validate().is_err());
    }

    #[test]
    fn workers_as_text() {
        assert_eq!("auto".parse(), Ok(Workers::Auto));
        assert_eq!("4".parse(), Ok(Workers::Count(4)));
        assert!("-1".parse::<Workers>().is_err());
        assert!("four".parse::<Workers>().is_err());
        assert!(Workers::Auto.count() >= 1);
        assert_eq!(Workers::Count(3).to_string(), "3");
    }
}
