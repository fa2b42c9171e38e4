use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::de::IgnoredAny;

use super::{
    ask::ask,
    output::{complain, print},
    table::table,
    top::top,
};
use crate::{cli::seconds, operator::Command};

/// Exit code when something has no socket to go to.
const MISUSED: u8 = 2;

/// A command that asks and tells the running program, at its
/// [control socket](crate::Config::control_socket).
///
/// For a program to have among its own subcommands; `shop ctl status` is one of it then:
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
/// | `status` | prints a table of all workers; with `--json` the answer as it comes |
/// | `top` | the same over and over, until `q` or Ctrl-C |
/// | `reload` | as `SIGHUP`; waits until the reload is over |
/// | `scale N` | changes the number of workers, up to the next reload |
/// | `restart SLOT` | replaces one worker; waits until the new one serves |
/// | `upgrade` | as `SIGUSR2`; waits until the new supervisor serves |
/// | `stop` | as `SIGTERM`; does not wait |
#[derive(Clone, Debug, Args)]
#[command(about = "Ask a running server how it is, or tell it what to do", long_about = None)]
#[non_exhaustive]
pub struct Ctl {
    /// The control socket of the running server: what its own option of this name says
    ///
    /// A program that always has the same can fill it in when it is not given.
    #[arg(
        help = "The control socket of the running server: what its own option of this name says",
        long_help = None,
        long,
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
    /// Print what every worker is doing
    Status {
        /// Print the answer as it comes: one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what every worker is doing, over and over, until q or Ctrl-C
    Top {
        /// Between two looks
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
        interval: Duration,
    },
    /// Read the configuration again and replace the workers, and wait until it is done
    Reload,
    /// Change the number of workers; the next reload makes it what the configuration says
    Scale {
        /// So many there are to be
        #[arg(value_name = "NUMBER")]
        workers: usize,
        #[command(flatten)]
        server: Server,
    },
    /// Replace one worker, and wait until the new one serves
    Restart {
        /// The worker's number, as `status` shows it
        slot: usize,
        #[command(flatten)]
        server: Server,
    },
    /// Let a new supervisor take over, and wait until it serves
    Upgrade,
    /// Stop the server: what runs may finish until its deadline
    Stop,
}

#[derive(Clone, Debug, Args)]
struct Server {
    /// Which server, where the program has several
    #[arg(long = "server", value_name = "NAME")]
    name: Option<String>,
}

impl Ctl {
    /// Does it. What there is to see goes to standard output; why something was not done, to
    /// standard error.
    ///
    /// The exit code is 0 when it was done, 1 when the program refuses or cannot be reached, and 2
    /// when no control socket was given.
    #[must_use = "the exit code tells whether it was done"]
    pub fn run(&self) -> ExitCode {
        let Some(socket) = &self.control_socket else {
            complain(
                "no control socket was given; give --control-socket PATH, the same as to \
                 the server, or set TOWER_PREFORK_CONTROL_SOCKET",
            );
            return ExitCode::from(MISUSED);
        };
        match self.action.run(socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(error);
                ExitCode::FAILURE
            }
        }
    }
}

impl Action {
    fn run(&self, socket: &Path) -> Result<(), String> {
        let (command, done) = match self.clone() {
            Self::Status { json: true } => {
                return ask::<IgnoredAny>(socket, &Command::Status)
                    .map(|answer| print(&answer.line));
            }
            Self::Status { json: false } => {
                let answer = ask(socket, &Command::Status)?;
                return answer.status().map(|status| print(&table(&status)));
            }
            Self::Top { interval } => return top(socket, interval),
            Self::Reload => (Command::Reload, "reloaded".into()),
            Self::Scale { workers, server } => {
                let done = format!("the number of workers is {workers} now");
                let server = server.name;
                (Command::Scale { server, workers }, done)
            }
            Self::Restart { slot, server } => {
                let done = format!("worker {slot} was replaced");
                let server = server.name;
                (Command::Restart { server, slot }, done)
            }
            Self::Upgrade => (
                Command::Upgrade,
                "a new supervisor has taken over; the old one ends when its requests are done"
                    .into(),
            ),
            Self::Stop => (
                Command::Stop,
                "stopping; running requests may finish until the deadline".into(),
            ),
        };
        ask::<IgnoredAny>(socket, &command)?;
        print(&(done + "\n"));
        Ok(())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
    if limits.contains(&interval) {
        Ok(interval)
    } else {
        Err("expected from 0.1 to 3600 seconds".into())
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
    fn the_socket_may_stand_anywhere() {
        for line in [
            "ctl --control-socket a status",
            "ctl status --control-socket a",
            "ctl scale --control-socket a 3",
        ] {
            assert_eq!(parse(line).unwrap().control_socket, Some("a".into()));
        }
    }

    #[test]
    fn nonsense_is_refused() {
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
