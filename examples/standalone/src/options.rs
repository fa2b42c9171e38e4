//! The options of the guest book.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tower_prefork::cli;

/// A guest book on SQLite, served by several processes with several threads each.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// File with the entries; created if missing
    #[arg(
        long,
        value_name = "FILE",
        env = "GUEST_BOOK_DATABASE",
        default_value = "guestbook.sqlite3"
    )]
    pub(crate) database: PathBuf,

    /// Maximum size of a request body; a larger one gets status 413
    #[arg(
        long,
        value_name = "SIZE",
        env = "GUEST_BOOK_MAX_BODY",
        default_value = "4G",
        value_parser = cli::size
    )]
    pub(crate) max_body: u64,

    /// Maximum time in which a request body arrives; a slower one gets status 408
    #[arg(
        long,
        value_name = "DURATION",
        env = "GUEST_BOOK_BODY_DEADLINE",
        default_value = "10m",
        value_parser = cli::seconds
    )]
    pub(crate) body_deadline: Duration,

    /// Maximum number of requests that wait for a thread in each worker; the next one gets status 503
    #[arg(
        long,
        value_name = "NUMBER",
        env = "GUEST_BOOK_MAX_QUEUED",
        default_value_t = 1024
    )]
    pub(crate) max_queued: usize,

    /// Maximum time that a request waits for a thread; then it gets status 503
    #[arg(
        long,
        value_name = "DURATION",
        env = "GUEST_BOOK_QUEUE_TIMEOUT",
        default_value = "30s",
        value_parser = cli::seconds
    )]
    pub(crate) queue_timeout: Duration,

    #[command(flatten)]
    pub(crate) server: cli::Args,
}

/// The commands of the program beside serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ctl(cli::Ctl),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_in_order() {
        Options::command().debug_assert();
        assert_eq!(cli::seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(cli::seconds("-1").is_err());
        assert!(cli::seconds("soon").is_err());
    }
}
