//! The log of a program, as its options say.

use std::{
    env,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt};

use super::Args;
use crate::{LogStream, config, control, server_log, system::open_standard_streams};
use tower_serve::internal::log_writer::Target;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a configuration file says of the program's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FileLog {
    pub(crate) log_level: Option<String>,
    pub(crate) log_format: Option<LogFormat>,
    /// Of the options, too: the start opens it.
    pub(crate) log_file: Option<PathBuf>,
}

impl Args {
    /// Sends the events of this program, and its panics, to standard error or to the log file, as the options and
    /// the configuration file say. Neither the program nor its server ever waits for them: see
    /// [`LogStream`].
    ///
    /// What the file says changes at a reload for the workers, and for the supervisor when another
    /// takes over. Nothing is said of a file that is wrong: the start of the server does that.
    ///
    /// Does nothing when the program has a subscriber already. A panic hook of the program is to be set afterwards.
    pub fn init_logging(&self) {
        self.init_logging_over(&Self::default());
    }

    /// The same, over what the program itself has chosen: its `log_level` and `log_format` hold
    /// where neither the file nor the options say anything.
    pub fn init_logging_over(&self, program: &Self) {
        let file = self.file_log();
        let level = self.log_level.as_ref().or(file.log_level.as_ref());
        let level = level.or(program.log_level.as_ref());
        let format = self.log_format.or(file.log_format).or(program.log_format);
        let path = self.log_file.as_ref().or(file.log_file.as_ref());
        let path = path.or(program.log_file.as_ref());
        let target = Target::server_log(path.map_or(Path::new("-"), PathBuf::as_path));
        let in_colour = target.is_stderr() && stderr().is_terminal() && !no_color();
        open_standard_streams();
        server_log::start(target);
        let level = level.and_then(|level| super::log_level(level).ok());
        let builder = fmt()
            // The parsers of the option and of the file have refused what is wrong.
            .with_env_filter(EnvFilter::new(level.as_deref().unwrap_or("info")))
            .with_writer(LogStream::server_log)
            .log_internal_errors(false)
            .with_ansi(in_colour);
        let started = match format.unwrap_or(LogFormat::Text) {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        // An error means that there is one already.
        if started.is_ok() {
            server_log::log_panics();
        }
    }

    /// What the file says, or, to a worker, what it said when the supervisor accepted it.
    fn file_log(&self) -> FileLog {
        if let Some(config) = control::announced() {
            return config.log;
        }
        let file = self.config.as_deref().map(config::read_log);
        file.unwrap_or_default()
    }
}

/// Whether the user wants no colours: <https://no-color.org>.
fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
