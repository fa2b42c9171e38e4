//! The log of a program, as its options say.

use std::{
    env,
    io::{IsTerminal, stderr},
    path::Path,
};

use tower_serve::internal::log_writer::Target;
use tracing_subscriber::{EnvFilter, fmt};

use super::Args;
use crate::{
    Config, LogStream, ProgramConfig,
    config::{File, LogFormat},
    control, server_log,
    settings::Overrides,
    system::open_standard_streams,
};

impl Args {
    /// Sends the events of this program, and its panics, to standard error or to the log file, as the options and
    /// the configuration file say. Neither the program nor its server ever waits for them: see
    /// [`LogStream`].
    ///
    /// A reload changes what the file says for the workers, an upgrade for the supervisor, too. The start of the
    /// server reports a wrong file.
    ///
    /// Does nothing when the program has a subscriber already. A panic hook of the program is to be set afterwards.
    pub fn init_logging(&self) {
        self.init_logging_over(&Self::default());
    }

    /// The same, over what the program itself has chosen: its settings of the log hold
    /// where neither the file nor the options say anything.
    pub fn init_logging_over(&self, program: &Self) {
        let config = self.program_config(program);
        let path = config.log_file.as_deref();
        let target = Target::server_log(path.unwrap_or(Path::new("-")));
        let in_colour = target.is_stderr() && stderr().is_terminal() && !no_color();
        open_standard_streams();
        server_log::start(target);
        let builder = fmt()
            .with_env_filter(EnvFilter::new(
                config.log_level.as_deref().unwrap_or("info"),
            ))
            .with_writer(LogStream::server_log)
            .log_internal_errors(false)
            .with_ansi(in_colour);
        let started = match config.log_format {
            None | Some(LogFormat::Text) => builder.try_init(),
            Some(LogFormat::Json) => builder.json().flatten_event(true).try_init(),
        };
        // An error means that there is one already.
        if started.is_ok() {
            server_log::log_panics();
        }
    }

    /// The settings of the log. In a worker, those that its supervisor has accepted take the place of the file's.
    fn program_config(&self, program: &Self) -> ProgramConfig {
        let mut config = ProgramConfig::default();
        program.program.apply(&mut config);
        let accepted = match (control::announced_config(), self.config.as_deref()) {
            (Some(message), _) => {
                let config = Config::from_message(message).unwrap_or_default();
                Overrides::of(&*config.program)
            }
            // A wrong file is an error of the start, which follows.
            (None, Some(path)) => File::read(path, None).unwrap_or_default().program,
            (None, None) => Overrides::default(),
        };
        accepted.apply(&mut config);
        self.program.apply(&mut config);
        config
    }
}

/// Whether the user wants no colours: <https://no-color.org>.
fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
