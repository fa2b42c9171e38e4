//! The settings of pulsar, by the names that they have there: what each is here.

/// What a setting of pulsar is here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counterpart {
    /// A setting of another name.
    Setting(&'static str),
    /// `debug`, which is a level of the log here.
    DebugFlag,
    /// None. A value that asks for something is refused with this sentence; pulsar's default may stay in a program.
    Missing {
        default: &'static str,
        instead: &'static str,
    },
}

use Counterpart::{DebugFlag, Missing, Setting};

/// The setting whose values `debug` chooses.
pub(super) const LOG_LEVEL: &str = "log_level";

/// pulsar's settings that have another name here, or none. Those of the same name are not here. `docs/pulsar.md` lists
/// all of them.
const TABLE: &[(&str, Counterpart)] = &[
    ("http_keep_alive", Setting("keep_alive_timeout")),
    ("keep_alive", Setting("keep_alive_timeout")),
    ("timeout", Setting("heartbeat_timeout")),
    ("exit_timeout", Setting("graceful_timeout")),
    ("key_file", Setting("tls_key")),
    ("cert_file", Setting("tls_certificate")),
    ("stream_buffer", Setting("max_body")),
    ("pidfile", Setting("pid_file")),
    ("loglevel", Setting(LOG_LEVEL)),
    ("process_name", Setting("name")),
    ("default_process_name", Setting("name")),
    ("pulse_app_name", Setting("name")),
    ("debug", DebugFlag),
    (
        "daemon",
        missing(
            "the server stays in the foreground; run it under a service manager, such as systemd",
        ),
    ),
    (
        "concurrency",
        Missing {
            default: "process",
            instead: "workers are processes; leave the setting out, or serve in one process with workers=0",
        },
    ),
    ("log_handlers", missing(LOGGING)),
    ("loghandlers", missing(LOGGING)),
    ("log_config", missing(LOGGING)),
    ("logconfig", missing(LOGGING)),
    ("noisy", missing("use log_level=\"debug\"")),
    (
        "event_loop",
        missing(
            "the server has its own event loop, and asyncio uses uvloop if that is installed; leave the setting out",
        ),
    ),
    ("io", missing("leave the setting out: see event_loop")),
    (
        "server_software",
        missing("responses have no field Server; a middleware can set it"),
    ),
    (
        "password",
        missing(
            "only the supervisor's user may connect to the control_socket; leave the setting out",
        ),
    ),
    (
        "http_proxy",
        missing("set the environment variable http_proxy, which HTTP clients of Python read"),
    ),
    (
        "coverage",
        missing("run the program under the command of the package coverage"),
    ),
    (
        "script",
        missing("workers are this script, executed again; leave the setting out"),
    ),
    (
        "exc_id",
        missing("processes have no such id; leave the setting out"),
    ),
    ("data_store", missing(DATA_STORE)),
    ("redis_server", missing(DATA_STORE)),
    ("key_value_databases", missing(DATA_STORE)),
    ("key_value_password", missing(DATA_STORE)),
    ("key_value_save", missing(DATA_STORE)),
    ("key_value_filename", missing(DATA_STORE)),
    ("http_py_parser", missing(PARSER)),
    ("no_pycares", missing(PARSER)),
    ("post_fork", missing(HOOKS)),
    ("when_ready", missing(HOOKS)),
    ("when_exit", missing(HOOKS)),
    ("connection_made", missing(REQUEST_HOOKS)),
    ("connection_lost", missing(REQUEST_HOOKS)),
    ("pre_request", missing(REQUEST_HOOKS)),
    ("post_request", missing(REQUEST_HOOKS)),
];

const LOGGING: &str = "the server's log goes to log_file; set Python's logging up in the application, with \
                       logging.config.dictConfig";
const DATA_STORE: &str =
    "the server has no data store; use a client of Redis or of a database in the application";
const PARSER: &str = "HTTP is parsed in Rust; leave the setting out";
const HOOKS: &str = "there are no hooks in Python; what a worker does at its start belongs in the module of the \
                     application or in LazyWsgi.setup, what it does at its end in atexit";
const REQUEST_HOOKS: &str = "there are no hooks in Python; use a middleware, or the access_log";

const fn missing(instead: &'static str) -> Counterpart {
    Missing {
        default: "",
        instead,
    }
}

/// What the setting of this name in pulsar is here, if it is not the same.
pub(super) fn find(name: &str) -> Option<Counterpart> {
    let found = TABLE.iter().find(|(pulsar, _)| *pulsar == name);
    found.map(|(_, counterpart)| *counterpart)
}

/// What to use in place of an option of pulsar.
pub(super) fn tip(option: &str) -> Option<String> {
    let name = option.strip_prefix("--")?.replace('-', "_");
    Some(match find(&name)? {
        Setting("name") => "give WSGIServer a name in the program".to_owned(),
        Setting(name) => format!("use --{}", name.replace('_', "-")),
        DebugFlag => "use --log-level debug".to_owned(),
        Missing { instead, .. } => instead.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tower_prefork::{Config, ProgramConfig, settings::Settings as _};

    use super::*;
    use crate::command::wsgi_config::WsgiConfig;

    fn is_ours(name: &str) -> bool {
        name == "name"
            || Config::find(name).is_some()
            || ProgramConfig::find(name).is_some()
            || WsgiConfig::find(name).is_some()
    }

    #[test]
    fn a_counterpart_is_a_setting_and_a_name_of_pulsar_is_none() {
        for (name, counterpart) in TABLE {
            assert!(!is_ours(name), "{name} is ours");
            if let Setting(ours) = counterpart {
                assert!(is_ours(ours), "{ours} is none of ours");
            }
        }
        assert!(is_ours(LOG_LEVEL));
    }

    /// What the rows say, a test in Python checks.
    #[test]
    fn the_documentation_has_each_of_them() {
        let docs = include_str!("../../../../docs/pulsar.md");
        let (_, rows) = docs.split_once("\n## Settings\n").unwrap();
        let (rows, _) = rows.split_once("\n## ").unwrap();
        for (name, _) in TABLE {
            assert!(
                rows.contains(&format!("\n| `{name}` |")),
                "{name} is missing"
            );
        }
    }
}
