use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;

use super::{LogFormat, log_level, mode, seconds, size};
use crate::{Config, Workers};
use tower_serve::AccessLogFormat;

/// The options of a server, to flatten into a clap program.
///
/// Each is also an environment variable. One that is not given leaves what the program has set;
/// the help names the library's defaults.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Server")]
#[non_exhaustive]
pub struct Args {
    /// File with settings, in TOML. Each option is a key in it, by the option's name with `_` for
    /// `-`; what the environment and the command line say goes over the file. See
    /// [`Server::config_file`](crate::Server::config_file).
    #[arg(
        help = "TOML file with settings, each by its option's name with \"_\" for \"-\". It is read \
                again at a reload; the environment and the command line go over it [default: none]",
        short,
        long,
        value_name = "FILE",
        env = "TOWER_PREFORK_CONFIG"
    )]
    pub config: Option<PathBuf>,

    /// Addresses to listen on, in the forms of [`Server::bind`](crate::Server::bind).
    #[arg(
        help = "Address to listen on: HOST:PORT, [IPV6]:PORT, :PORT (IPv4 and IPv6), PORT \
                (127.0.0.1), an IP address (port 8000) or unix:PATH. Port 0 takes a free one. \
                Can be given several times; a list with commas in the environment \
                [default: 127.0.0.1:8000]",
        short,
        long,
        value_name = "ADDRESS",
        env = "TOWER_PREFORK_BIND",
        value_delimiter = ','
    )]
    pub bind: Vec<String>,

    /// Worker processes: a number, or "auto" for one per core; 0 serves in one process, for
    /// debugging [default: auto]
    #[arg(short, long, value_name = "NUMBER", env = "TOWER_PREFORK_WORKERS")]
    pub workers: Option<Workers>,

    /// Threads for blocking work in each worker; 0 for an application that runs on the event loop
    /// [default: 10]
    #[arg(long, value_name = "NUMBER", env = "TOWER_PREFORK_THREAD_WORKERS")]
    pub thread_workers: Option<usize>,

    /// Connections that the kernel queues for each address until a worker accepts them
    /// [default: 2048]
    #[arg(long, value_name = "NUMBER", env = "TOWER_PREFORK_BACKLOG")]
    pub backlog: Option<u32>,

    /// Connections that one worker holds open at once; at the limit it stops accepting
    /// [default: 1024]
    #[arg(long, value_name = "NUMBER", env = "TOWER_PREFORK_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,

    /// How long a stop waits for running requests before it cuts them [default: 30s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_GRACEFUL_TIMEOUT", value_parser = seconds)]
    pub graceful_timeout: Option<Duration>,

    /// How long a worker may take to build its service [default: 1m]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_START_TIMEOUT", value_parser = seconds)]
    pub start_timeout: Option<Duration>,

    /// How long the event loop of a worker may be stuck before the worker is replaced
    /// [default: 30s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_HEARTBEAT_TIMEOUT", value_parser = seconds)]
    pub heartbeat_timeout: Option<Duration>,

    /// How long a stop goes on serving, with the readiness path at 503, before anything is closed
    /// [default: 0s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_SHUTDOWN_DELAY", value_parser = seconds)]
    pub shutdown_delay: Option<Duration>,

    /// Path that the server answers by itself: 200 while it serves, 503 when it stops [default: none]
    #[arg(long, value_name = "PATH", env = "TOWER_PREFORK_READINESS_PATH")]
    pub readiness_path: Option<String>,

    /// Replace a worker after so many requests, up to a tenth less by chance; 0 is never
    /// [default: 0]
    #[arg(long, value_name = "NUMBER", env = "TOWER_PREFORK_MAX_REQUESTS")]
    pub max_requests: Option<u64>,

    /// Replace a worker that has served for so long, up to a tenth less by chance [default: never]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_MAX_LIFETIME", value_parser = seconds)]
    pub max_lifetime: Option<Duration>,

    /// Replace a worker whose resident memory exceeds this size, such as 512M [default: never]
    #[arg(long, value_name = "SIZE", env = "TOWER_PREFORK_MAX_RSS", value_parser = size)]
    pub max_rss: Option<u64>,

    /// File for the process id of the supervisor [default: none]
    #[arg(long, value_name = "FILE", env = "TOWER_PREFORK_PID_FILE")]
    pub pid_file: Option<PathBuf>,

    /// Unix socket for the `ctl` command [default: none]
    #[arg(long, value_name = "PATH", env = "TOWER_PREFORK_CONTROL_SOCKET")]
    pub control_socket: Option<PathBuf>,

    /// Permissions of Unix sockets, in octal, whatever the umask is. With a user and a group the
    /// sockets belong to them [default: 660]
    #[arg(long, value_name = "MODE", env = "TOWER_PREFORK_SOCKET_MODE", value_parser = mode)]
    pub socket_mode: Option<u32>,

    /// User that the workers run as, when started by root [default: the same]
    #[arg(long, value_name = "USER", env = "TOWER_PREFORK_USER")]
    pub user: Option<String>,

    /// Group that the workers run in, when started by root [default: the user's]
    #[arg(long, value_name = "GROUP", env = "TOWER_PREFORK_GROUP")]
    pub group: Option<String>,

    /// File mode creation mask, in octal, such as 027 [default: unchanged]
    #[arg(long, value_name = "MODE", env = "TOWER_PREFORK_UMASK", value_parser = mode)]
    pub umask: Option<u32>,

    /// PEM file with the certificate chain; enables HTTPS on TCP addresses. Read again at a reload
    /// [default: none]
    #[arg(long, value_name = "FILE", env = "TOWER_PREFORK_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,

    /// PEM file with the private key of the certificate, without a passphrase [default: none]
    #[arg(long, value_name = "FILE", env = "TOWER_PREFORK_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Maximum time until the application starts its response; the client then gets 504
    /// [default: 5m]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_REQUEST_TIMEOUT", value_parser = seconds)]
    pub request_timeout: Option<Duration>,

    /// Maximum time for a whole request head, from its first byte [default: 10s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_HEADER_TIMEOUT", value_parser = seconds)]
    pub header_timeout: Option<Duration>,

    /// Maximum time that an idle connection stays open [default: 65s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_KEEP_ALIVE_TIMEOUT", value_parser = seconds)]
    pub keep_alive_timeout: Option<Duration>,

    /// Maximum time between two reads of a request body [default: 30s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_BODY_TIMEOUT", value_parser = seconds)]
    pub body_timeout: Option<Duration>,

    /// Maximum time that a client may read nothing of its response [default: 30s]
    #[arg(long, value_name = "DURATION", env = "TOWER_PREFORK_WRITE_TIMEOUT", value_parser = seconds)]
    pub write_timeout: Option<Duration>,

    /// Maximum number of header fields of a request [default: 100]
    #[arg(long, value_name = "NUMBER", env = "TOWER_PREFORK_MAX_HEADERS")]
    pub max_headers: Option<usize>,

    /// Maximum size of a request head [default: 64K]
    #[arg(long, value_name = "SIZE", env = "TOWER_PREFORK_MAX_HEADER_SIZE", value_parser = max_header_size)]
    pub max_header_size: Option<usize>,

    /// Replace the workers when a file in the current directory changes, for development
    /// [default: off]
    #[arg(long, env = "TOWER_PREFORK_RELOAD")]
    pub reload: bool,

    /// Directory to watch for the same, instead of the current one. Can be given several times; a
    /// list with commas in the environment [default: the current directory]
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "TOWER_PREFORK_RELOAD_DIR",
        value_delimiter = ','
    )]
    pub reload_dir: Vec<PathBuf>,

    /// Log the requests to this file, which is created anew when it was renamed; "-" is standard
    /// output [default: no access log]
    #[arg(long, value_name = "FILE", env = "TOWER_PREFORK_ACCESS_LOG")]
    pub access_log: Option<PathBuf>,

    /// How the lines of the access log look: as Apache's, or one JSON object a line
    /// [default: combined]
    #[arg(long, value_name = "FORMAT", env = "TOWER_PREFORK_ACCESS_LOG_FORMAT")]
    pub access_log_format: Option<AccessLogFormat>,

    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT", env = "TOWER_PREFORK_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Log to this file, which SIGUSR1 opens again; "-" is standard error [default: -]
    #[arg(long, value_name = "FILE", env = "TOWER_PREFORK_LOG_FILE")]
    pub log_file: Option<PathBuf>,

    /// What is logged: off, error (or critical), warn (or warning), info, debug or trace, also for parts of the
    /// program, as in `warn,tower_prefork=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "TOWER_PREFORK_LOG_LEVEL", value_parser = log_level)]
    pub log_level: Option<String>,
}

impl Args {
    pub(crate) fn apply(&self, config: &mut Config) {
        if !self.bind.is_empty() {
            config.bind.clone_from(&self.bind);
        }
        set(&mut config.workers, self.workers);
        set(&mut config.thread_workers, self.thread_workers);
        set(&mut config.backlog, self.backlog);
        set(&mut config.max_connections, self.max_connections);
        set(&mut config.graceful_timeout, self.graceful_timeout);
        set(&mut config.start_timeout, self.start_timeout);
        set(&mut config.heartbeat_timeout, self.heartbeat_timeout);
        set(&mut config.shutdown_delay, self.shutdown_delay);
        set(&mut config.max_requests, self.max_requests);
        set_some(&mut config.readiness_path, &self.readiness_path);
        set_some(&mut config.max_lifetime, &self.max_lifetime);
        set_some(&mut config.max_rss, &self.max_rss);
        set_some(&mut config.pid_file, &self.pid_file);
        set_some(&mut config.control_socket, &self.control_socket);
        set_some(&mut config.user, &self.user);
        set_some(&mut config.group, &self.group);
        set_some(&mut config.umask, &self.umask);
        set(&mut config.socket_mode, self.socket_mode);
        if !self.reload_dir.is_empty() {
            config.watch.clone_from(&self.reload_dir);
        } else if self.reload {
            config.watch = vec![".".into()];
        }
        config.encrypt(self.tls_certificate.as_deref(), self.tls_key.as_deref());
        set_some(&mut config.log.log_file, &self.log_file);
        config.log_requests(self.access_log.as_deref(), self.access_log_format);
        let http = &mut config.http;
        set(&mut http.header_timeout, self.header_timeout);
        set(&mut http.keep_alive_timeout, self.keep_alive_timeout);
        set(&mut http.body_timeout, self.body_timeout);
        set(&mut http.write_timeout, self.write_timeout);
        set(&mut http.request_timeout, self.request_timeout);
        set(&mut http.max_headers, self.max_headers);
        set(&mut http.max_header_size, self.max_header_size);
    }
}

/// A size that is held in memory.
fn max_header_size(text: &str) -> Result<usize, String> {
    size(text).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

fn set_some<T: Clone>(setting: &mut Option<T>, given: &Option<T>) {
    if given.is_some() {
        setting.clone_from(given);
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use tower_serve::AccessLog;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        server: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        let arguments = ["shop"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|cli| cli.server)
    }

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_given_keeps_the_programs_value() {
        let mut config = Config {
            bind: vec!["9000".into()],
            thread_workers: 3,
            ..Config::default()
        };
        parse(&["--workers", "7"]).unwrap().apply(&mut config);
        assert_eq!(config.bind, ["9000"]);
        assert_eq!(config.thread_workers, 3);
        assert_eq!(config.workers, Workers::Count(7));
    }

    #[test]
    fn what_is_given_replaces_it() {
        let mut config = Config {
            bind: vec!["9000".into()],
            ..Config::default()
        };
        let arguments = "-b :80 --bind unix:a,8001 -w auto --graceful-timeout 0.5 --max-headers 9";
        let arguments: Vec<_> = arguments.split(' ').collect();
        parse(&arguments).unwrap().apply(&mut config);
        assert_eq!(config.bind, [":80", "unix:a", "8001"]);
        assert_eq!(config.workers, Workers::Auto);
        assert_eq!(config.graceful_timeout, Duration::from_millis(500));
        assert_eq!(config.http.max_headers, 9);
    }

    #[test]
    fn files_are_watched_where_it_is_said() {
        for (arguments, watched) in [
            (&[][..], &[][..]),
            (&["--reload"], &["."]),
            (
                &["--reload-dir", "a,b", "--reload-dir", "c"],
                &["a", "b", "c"],
            ),
            (&["--reload", "--reload-dir", "a"], &["a"]),
        ] {
            let mut config = Config::default();
            parse(arguments).unwrap().apply(&mut config);
            let watched: Vec<_> = watched.iter().map(PathBuf::from).collect();
            assert_eq!(config.watch, watched);
        }
    }

    #[test]
    fn the_access_log_and_its_format() {
        let mut config = Config::default();
        parse(&["--access-log", "-"]).unwrap().apply(&mut config);
        assert_eq!(config.access_log, Some(AccessLog::new("-")));
        let arguments = ["--access-log-format", "json"];
        parse(&arguments).unwrap().apply(&mut config);
        parse(&["--access-log", "a.log"])
            .unwrap()
            .apply(&mut config);
        let log = AccessLog::new("a.log").format(AccessLogFormat::Json);
        assert_eq!(config.access_log, Some(log));
    }

    #[test]
    fn a_format_may_be_chosen_before_there_is_an_access_log() {
        let mut config = Config::default();
        let arguments = ["--access-log-format", "json"];
        parse(&arguments).unwrap().apply(&mut config);
        parse(&["--access-log", "-"]).unwrap().apply(&mut config);
        let log = AccessLog::new("-").format(AccessLogFormat::Json);
        assert_eq!(config.access_log, Some(log));
    }

    #[test]
    fn sizes_and_modes_have_their_usual_forms() {
        let mut config = Config::default();
        let arguments = "--max-rss 512M --umask 027 --socket-mode 600 --max-header-size 16K \
                         --request-timeout 5m --header-timeout 500ms";
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        parse(&arguments).unwrap().apply(&mut config);
        assert_eq!(config.socket_mode, 0o600);
        assert_eq!(config.http.max_header_size, 16 << 10);
        assert_eq!(config.http.request_timeout.as_secs(), 300);
        assert_eq!(config.http.header_timeout.as_millis(), 500);
        assert_eq!(
            (config.max_rss, config.umask),
            (Some(512 << 20), Some(0o27))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            ["--workers", "many"],
            ["--graceful-timeout", "-1"],
            ["--graceful-timeout", "NaN"],
            ["--access-log-format", "xml"],
            ["--log-format", "xml"],
            ["--max-rss", "1T"],
            ["--max-rss", "99999999999G"],
            ["--max-header-size", "16KB"],
            ["--header-timeout", "10M"],
            ["--umask", "8"],
            ["--log-level", "a=b=c"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn every_option_has_its_variable_and_the_help_its_default() {
        for argument in Cli::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let variable = format!("TOWER_PREFORK_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().unwrap(), &*variable, "{name}");
            let help = argument.get_help().unwrap().to_string();
            assert!(help.ends_with(']') && help.contains("[default: "), "{name}");
        }
    }
}
