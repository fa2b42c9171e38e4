//! The settings of the whole program: [`ProgramConfig`].

use std::{fmt, path::PathBuf};

use super::ResolvedConfig;
#[cfg(feature = "cli")]
use super::log::{LOG_FORMATS, LogFormat, log_level};
use crate::{
    listener::socket_path,
    settings::{InvalidSetting, Kind, Overrides, Settings, Value},
};

crate::settings! {
    /// What can be set for the whole program, of one server or of several.
    ///
    /// [`Supervisor::configure`](crate::Supervisor::configure) changes it. The configuration file and the command line of a
    /// server may set it, too; in a program with several servers, those that do must agree. A reload changes the
    /// settings of the log only.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct ProgramConfig: "Server", "TOWER_PREFORK_" {
        /// File for the process id of the supervisor
        ///
        /// It is there before the server is ready, and for as long as the supervisor runs. The supervisor holds a
        /// lock on it (`flock`): a second start is refused while the first one runs, and a file that a process left
        /// without removing it is replaced. Its directory must be one that the supervisor may write to.
        pub pid_file: Option<PathBuf> = None, {
            kind: Kind::Path,
            short: Some('p'),
            value_name: Some("FILE"),
        };

        /// Unix socket for the `ctl` command
        ///
        /// Only the supervisor's user and root may connect to it. There must be a supervisor, so not with 0 workers.
        ///
        /// A request is a JSON object on a line of its own, of at most 4 KiB, and so is its response:
        /// `{"ok":true}`, for `status` with the state of all workers in `"status"`, or
        /// `{"ok":false,"error":"…"}`. Up to 16 connections are open at once, each for any number of requests; one
        /// without a request for 30 seconds is closed.
        ///
        /// | request | what happens |
        /// |---|---|
        /// | `{"command":"status"}` | the response comes at once, also while the program starts or stops |
        /// | `{"command":"reload"}` | as `SIGHUP`; the response comes when the reload is over |
        /// | `{"command":"scale","workers":4}` | changes the number of workers, up to the next reload |
        /// | `{"command":"restart","slot":0}` | replaces this worker; the response comes when the new one serves |
        /// | `{"command":"upgrade"}` | as `SIGUSR2`; the response comes when the new supervisor serves |
        /// | `{"command":"stop"}` | the response comes at once; then as `SIGTERM` |
        ///
        /// `scale` and `restart` take a `"server"`, by its name, where the program has several.
        pub control_socket: Option<PathBuf> = None, {
            kind: Kind::Path,
            check: |path| match path {
                Value::Text(path) => socket_path(path).map_err(str::to_owned),
                _ => Ok(()),
            },
        };

        /// User that the workers run as, when started by root
        ///
        /// A name or a number. The supervisor stays root: it listens on what only root may, and runs none of the
        /// service's code. Its Unix sockets and its access log are given to the user and the group. Workers are in
        /// that group alone; other groups of the user, and its environment (`HOME`), are not looked up. The program
        /// and the directory that it is started in must be ones that the user can reach.
        pub user: Option<String> = None, {
            kind: Kind::Name,
            value_name: Some("USER"),
            unset: "the same",
        };

        /// Group that the workers run in, when started by root
        ///
        /// A name or a number.
        pub group: Option<String> = None, {
            kind: Kind::Name,
            value_name: Some("GROUP"),
            unset: "the user's",
        };

        /// File mode creation mask, in octal (for example 027)
        ///
        /// It is set before any file is created.
        pub umask: Option<u32> = None, {
            kind: Kind::Mode,
            unset: "unchanged",
        };

        /// Format of the lines of the log
        #[cfg(feature = "cli")]
        pub(crate) log_format: Option<LogFormat> = None, {
            kind: Kind::Choice(LOG_FORMATS),
            unset: "text",
        };

        /// File for the log, which SIGUSR1 opens again; "-" is standard error
        #[cfg(feature = "cli")]
        pub(crate) log_file: Option<PathBuf> = None, {
            kind: Kind::Path,
            value_name: Some("FILE"),
            unset: "-",
        };

        /// What is logged: off, error (or critical), warn (or warning), info, debug or trace, also for parts of the
        /// program, as in `warn,tower_prefork=debug`
        #[cfg(feature = "cli")]
        pub(crate) log_level: Option<String> = None, {
            kind: Kind::Parsed(log_level),
            value_name: Some("FILTER"),
            unset: "info",
        };
    }
}

/// The settings that a reload changes, for the workers.
const RELOADED: [&str; 3] = ["log_format", "log_file", "log_level"];

/// What a program sets for itself.
#[derive(Default)]
pub(crate) struct ProgramChanges(Vec<Change>);

type Change = Box<dyn Fn(&mut ProgramConfig)>;

impl ProgramChanges {
    pub(crate) fn push(&mut self, change: impl Fn(&mut ProgramConfig) + 'static) {
        self.0.push(Box::new(change));
    }

    pub(super) fn apply(&self, config: &mut ProgramConfig) {
        for change in &self.0 {
            change(config);
        }
    }
}

impl fmt::Debug for ProgramChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramChanges").finish_non_exhaustive()
    }
}

impl ProgramConfig {
    /// What the program sets for itself, and over it what the files and the command lines of its servers say, which
    /// must agree. The error is a sentence for the operator.
    pub(super) fn resolve<'a>(
        changes: impl IntoIterator<Item = &'a ProgramChanges>,
        servers: &[ResolvedConfig],
    ) -> Result<Self, String> {
        let mut this = Self::default();
        for changes in changes {
            changes.apply(&mut this);
        }
        agreed(servers.iter().map(|server| &server.program))?.apply(&mut this);
        let invalid = match this.check() {
            Ok(()) => this.check_with(servers).err(),
            Err(invalid) => Some(invalid),
        };
        let Some(InvalidSetting { setting, problem }) = invalid else {
            return Ok(this);
        };
        let mut servers = servers.iter();
        Err(
            match servers.find(|server| server.program.get(setting).is_some()) {
                Some(server) => format!("{}: {problem}", server.place(setting)),
                None => problem,
            },
        )
    }

    /// Checks that there is a supervisor for the settings that need one.
    fn check_with(&self, servers: &[ResolvedConfig]) -> Result<(), InvalidSetting> {
        if !servers.iter().any(ResolvedConfig::is_standalone) {
            return Ok(());
        }
        let invalid = |setting, problem: &str| {
            let problem = problem.to_owned();
            Err(InvalidSetting { setting, problem })
        };
        if self.control_socket.is_some() {
            return invalid(
                "control_socket",
                "control_socket is given and workers is 0, so there is no supervisor to serve it; choose 1 or more \
                 workers, or no control socket",
            );
        }
        for (setting, value) in [("user", &self.user), ("group", &self.group)] {
            if value.is_some() {
                return invalid(
                    setting,
                    "user and group are those of the workers, and workers is 0; choose 1 or more, or start the \
                     program as that user",
                );
            }
        }
        Ok(())
    }

    /// The settings that differ from those of the start, and that only a new start changes.
    pub(crate) fn needs_start(&self, start: &Self) -> Vec<&'static str> {
        let settings = Self::TABLE.iter();
        settings
            .filter(|setting| !RELOADED.contains(&setting.name))
            .filter(|setting| (setting.get)(self) != (setting.get)(start))
            .map(|setting| setting.name)
            .collect()
    }
}

/// What the servers say for the program. The error is a sentence for the operator: two of them differ.
fn agreed<'a>(
    servers: impl IntoIterator<Item = &'a Overrides<ProgramConfig>>,
) -> Result<Overrides<ProgramConfig>, String> {
    let mut agreed = Overrides::default();
    for given in servers {
        for (name, value) in given.iter() {
            if agreed.get(name).is_some_and(|other| other != value) {
                return Err(format!(
                    "two servers differ in {name}, which belongs to the whole program; give both the same, or only \
                     one of them any"
                ));
            }
        }
        agreed.extend(given.clone());
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pid_file(path: &str) -> Overrides<ProgramConfig> {
        let setting = ProgramConfig::find("pid_file").unwrap();
        let mut given = Overrides::default();
        given.insert(setting, setting.parse(path).unwrap());
        given
    }

    fn pid_file(servers: &[Overrides<ProgramConfig>]) -> Result<Option<PathBuf>, String> {
        let mut config = ProgramConfig::default();
        agreed(servers)?.apply(&mut config);
        Ok(config.pid_file)
    }

    #[test]
    fn one_server_may_set_what_belongs_to_the_program() {
        assert_eq!(pid_file(&[]), Ok(None));
        assert_eq!(pid_file(&[Overrides::default()]), Ok(None));
        let servers = [Overrides::default(), with_pid_file("a"), with_pid_file("a")];
        assert_eq!(pid_file(&servers), Ok(Some("a".into())));
    }

    #[test]
    fn servers_that_differ_are_refused() {
        let servers = [
            with_pid_file("a"),
            Overrides::default(),
            with_pid_file("b"),
            with_pid_file("a"),
        ];
        let error = pid_file(&servers).unwrap_err();
        assert!(error.starts_with("two servers differ in pid_file, "));
    }
}
