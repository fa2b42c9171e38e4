//! The command `ctl`.

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::de::IgnoredAny;

use super::{
    Command,
    client::send,
    table::table,
    top::{print, top},
};
use crate::settings::duration;

/// The exit code when no control socket was given.
const USAGE_ERROR: u8 = 2;

/// A command that controls the running program through its [control socket](crate::ProgramConfig::control_socket).
///
/// A program adds it to its own subcommands, which gives it `shop ctl status`, for example:
///
/// ```no_run
/// use clap::{Parser, Subcommand};
/// use tower_prefork::{Server, cli};
///
/// #[derive(Parser)]
/// #[command(args_conflicts_with_subcommands = true)]
/// struct Shop {
///     #[command(subcommand)]
///     command: Option<Command>,
///     #[command(flatten)]
///     server: cli::Args,
/// }
///
/// #[derive(Subcommand)]
/// enum Command {
///     Ctl(cli::Ctl),
/// }
///
/// fn main() -> std::process::ExitCode {
///     let shop = Shop::parse();
///     if let Some(Command::Ctl(ctl)) = &shop.command {
///         return ctl.run();
///     }
///     Server::new("shop")
///         .args(&shop.server)
/// #       .service(|_| async { Ok::<_, tower_prefork::BoxError>(axum::Router::new()) })
///         // .service(…)
///         .run()
/// }
/// ```
///
/// | command | what it does |
/// |---|---|
/// | `status` | prints a table of all workers; with `--json` the response as it was received |
/// | `top` | prints the table again and again, until `q` or Ctrl-C |
/// | `reload` | as `SIGHUP`; waits until the reload is complete |
/// | `scale N` | changes the number of workers until the next reload |
/// | `restart SLOT` | replaces one worker; waits until the new one serves |
/// | `upgrade` | as `SIGUSR2`; waits until the new supervisor serves |
/// | `stop` | as `SIGTERM`; does not wait |
#[derive(Clone, Debug, Args)]
#[command(about = "Show the status of a running server, or control it", long_about = None)]
#[non_exhaustive]
pub struct Ctl {
    /// The control socket of the running server, as given to the server with --control-socket
    ///
    /// A program that always uses the same path can fill it in if it is not given.
    // The server's own option of this name is another argument, with values of another type.
    #[arg(
        id = "ctl_control_socket",
        help = "The control socket of the running server, as given to the server with --control-socket",
        long_help = None,
        long = "control-socket",
        global = true,
        value_name = "PATH",
        env = "TOWER_PREFORK_CONTROL_SOCKET"
    )]
    pub control_socket: Option<PathBuf>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Print the state of all workers
    Status {
        /// Print the response as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the state of all workers again and again, until q or Ctrl-C
    Top {
        /// Time between two updates
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
        interval: Duration,
    },
    /// Read the configuration again, replace all workers, and wait until that is complete
    Reload,
    /// Change the number of workers; the next reload resets it to the configured number
    Scale {
        /// New number of workers
        #[arg(value_name = "NUMBER")]
        workers: usize,
        #[command(flatten)]
        server: ServerSelector,
    },
    /// Replace one worker, and wait until the new one is ready
    Restart {
        /// Number of the worker, as `status` shows it
        slot: usize,
        #[command(flatten)]
        server: ServerSelector,
    },
    /// Start a new supervisor that takes over, and wait until it is ready
    Upgrade,
    /// Stop the server; running requests may finish until the deadline
    Stop,
}

#[derive(Clone, Debug, Args)]
struct ServerSelector {
    /// Name of the server, if the program has several
    #[arg(long = "server", value_name = "NAME")]
    name: Option<String>,
}

impl Ctl {
    /// Carries out the command. The result goes to standard output, an error to standard error.
    ///
    /// The exit code is 0 on success, 1 if the command failed or the program cannot be reached, and 2 if no control
    /// socket was given.
    #[must_use = "the exit code tells whether the command succeeded"]
    pub fn run(&self) -> ExitCode {
        let Some(socket) = &self.control_socket else {
            print_error(
                "no control socket given; use --control-socket PATH with the same path as for the \
                 server, or set TOWER_PREFORK_CONTROL_SOCKET",
            );
            return ExitCode::from(USAGE_ERROR);
        };
        match self.action.run(socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                print_error(error);
                ExitCode::FAILURE
            }
        }
    }
}

impl Action {
    fn run(&self, socket: &Path) -> Result<(), String> {
        let (command, done) = match self.clone() {
            Self::Status { json: true } => {
                return send::<IgnoredAny>(socket, &Command::Status)
                    .map(|response| print(&response.line));
            }
            Self::Status { json: false } => {
                let response = send(socket, &Command::Status)?;
                return response.status().map(|status| print(&table(&status)));
            }
            Self::Top { interval } => return top(socket, interval),
            Self::Reload => (Command::Reload, "reloaded".into()),
            Self::Scale { workers, server } => {
                let done = format!("scaling to {workers} workers");
                let server = server.name;
                (Command::Scale { server, workers }, done)
            }
            Self::Restart { slot, server } => {
                let done = format!("worker {slot} replaced");
                let server = server.name;
                (Command::Restart { server, slot }, done)
            }
            Self::Upgrade => (
                Command::Upgrade,
                "upgraded: a new supervisor has taken over; the old one exits when its requests are done"
                    .into(),
            ),
            Self::Stop => (
                Command::Stop,
                "stopping; running requests may finish until the deadline".into(),
            ),
        };
        send::<IgnoredAny>(socket, &command)?;
        print(&(done + "\n"));
        Ok(())
    }
}

/// Writes an error to standard error, which may be closed.
fn print_error(error: impl Display) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
    if limits.contains(&interval) {
        Ok(interval)
    } else {
        Err("expected a duration from 0.1 to 3600 seconds".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Shop {
        #[command(flatten)]
        ctl: Ctl,
    }

    fn parse(line: &str) -> Result<Ctl, clap::Error> {
        Shop::try_parse_from(line.split(' ')).map(|shop| shop.ctl)
    }

    #[test]
    fn clap_accepts_the_definition() {
        Shop::command().debug_assert();
    }

    #[test]
    fn the_socket_may_be_given_before_or_after_the_command() {
        for line in [
            "ctl --control-socket a status",
            "ctl status --control-socket a",
            "ctl scale --control-socket a 3",
        ] {
            assert_eq!(parse(line).unwrap().control_socket, Some("a".into()));
        }
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for line in [
            "ctl",
            "ctl dance",
            "ctl scale",
            "ctl scale -1",
            "ctl restart all",
            "ctl reload --server a",
            "ctl top --interval 0",
            "ctl top --interval 1e9",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
