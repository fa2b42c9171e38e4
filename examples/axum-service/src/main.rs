//! An axum service with blocking routes.
//!
//! It digests documents and writes reports. `/health` and `/documents` are asynchronous handlers, as in
//! any axum service. `/digest` and `/report` are plain blocking functions: `WaitForBodyLayer` and
//! `BlockingLayer` wrap these two routes, and nothing else changes. The middleware of `tower_http`
//! wraps all of them. `routes.rs` composes them.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p axum-service
//! ```
//!
//! Try it:
//!
//! ```text
//! curl http://127.0.0.1:3000/health
//! curl --data-binary @Cargo.lock 'http://127.0.0.1:3000/digest?name=Cargo.lock'
//! curl http://127.0.0.1:3000/documents
//! curl --compressed 'http://127.0.0.1:3000/report?rows=1000000' | tail -1
//! head -c 2G /dev/zero | curl -T - -X POST http://127.0.0.1:3000/digest         # 413: over --max-body
//! ```
//!
//! Ctrl-C or `kill` ends it gracefully: requests finish, within `--graceful-timeout`.

mod digest;
mod documents;
mod report;
mod routes;
mod shutdown;

use std::{
    io::{IsTerminal as _, stderr},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tower_wsgi::blocking::BlockingPool;
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
/// Digests documents and writes reports: an axum service with blocking routes
struct Cli {
    /// Address to listen on; with port 0, a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    bind: SocketAddr,

    /// Number of threads for the blocking routes
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,

    /// Maximum size of a document in bytes; a larger one gets status 413
    #[arg(long, value_name = "BYTES", default_value = "1073741824")]
    max_body: u64,

    /// Maximum time that a stop waits for running requests before it aborts them
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u16).range(..=3600))]
    graceful_timeout: u16,

    /// Log level: off, error, warn, info, debug or trace, also by module, for example
    /// `warn,tower_http=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: EnvFilter,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(cli.log_level)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    let pool = BlockingPool::new(cli.threads.into());
    let app = routes::router(&pool, cli.max_body);
    let grace = Duration::from_secs(cli.graceful_timeout.into());

    let served = tokio::runtime::Runtime::new().and_then(|runtime| {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(cli.bind).await?;
            println!("listening on http://{}", listener.local_addr()?);
            shutdown::serve(listener, app, &pool, grace).await
        });
        // Dropped, it would wait for a job that is past the deadline and cannot be stopped.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot serve on {}: {error}", cli.bind);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
