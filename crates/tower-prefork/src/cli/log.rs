use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

use super::Args;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Args {
    /// Sends the events of this program to standard error, as the options say.
    ///
    /// Does nothing when the program has a subscriber already.
    pub fn init_logging(&self) {
        let level = self.log_level.as_deref().unwrap_or("info");
        let builder = fmt()
            // The option's parser has refused what is wrong.
            .with_env_filter(EnvFilter::new(level))
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal());
        // An error means that there is one already.
        let _ = match self.log_format.unwrap_or(LogFormat::Text) {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
    }
}
