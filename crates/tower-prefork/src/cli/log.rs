use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt};

use super::Args;
use crate::{config, control};

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
}

impl Args {
    /// Sends the events of this program to standard error, as the options and the configuration
    /// file say.
    ///
    /// What the file says changes at a reload for the workers, and for the supervisor when another
    /// takes over. Nothing is said of a file that is wrong: the start of the server does that.
    ///
    /// Does nothing when the program has a subscriber already.
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
        let builder = fmt()
            // The parsers of the option and of the file have refused what is wrong.
            .with_env_filter(EnvFilter::new(level.map_or("info", String::as_str)))
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal());
        // An error means that there is one already.
        let _ = match format.unwrap_or(LogFormat::Text) {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
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
