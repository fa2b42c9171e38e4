//! A Flask application that moves to Rust, route by route.
//!
//! `/health` and `/clock` are Rust, on the event loop; everything else is `shop.py`, a Flask application,
//! on the threads of its pool, in the same process. A Flask page that computes or waits does
//! not delay a Rust route.
//!
//! Start it where `shop.py` lies, with Flask installed in the virtual environment that is active:
//!
//! ```text
//! cd examples/flask-in-axum
//! python3 -m venv .venv && . .venv/bin/activate && pip install flask
//! cargo run --release -p flask-in-axum -- --workers 2 --thread-workers 10
//! ```
//!
//! Try it:
//!
//! ```text
//! curl http://127.0.0.1:8000/                        # Flask
//! curl http://127.0.0.1:8000/clock                   # Rust
//! curl 'http://127.0.0.1:8000/compute?ms=2000' &     # Flask holds Python's lock for two seconds
//! curl http://127.0.0.1:8000/health                  # Rust responds at once
//! ```

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use clap::Parser;
use tower_prefork::{BoxError, Server, WorkerContext, cli};
use tower_wsgi_python::PythonApp;

#[derive(Parser)]
/// A Flask application and Rust routes in one axum router
struct Cli {
    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    Server::new("flask-in-axum")
        .args(&cli.server)
        .service(|worker| async move { router(&worker) })
        .run()
}

fn router(worker: &WorkerContext) -> Result<Router, BoxError> {
    let flask = PythonApp::builder()
        .thread_workers(worker.config().thread_workers)
        .multiprocess(true)
        .load("shop:app")?;
    Ok(Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/clock", get(clock))
        .fallback_service(flask))
}

async fn clock() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{} seconds since 1970\n", now.unwrap_or_default().as_secs())
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
