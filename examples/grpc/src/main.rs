//! A gRPC service by tonic beside axum routes and a WSGI application, on one port and several workers.
//!
//! gRPC needs HTTP/2, which the server speaks without an option: its clients know it before they connect. The gRPC service
//! (`clock.rs`) and the route `/health` are asynchronous and run on the event loop; every other path goes to a WSGI application
//! in Rust, on the worker's threads.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p grpc -- --workers 2 --thread-workers 4
//! ```
//!
//! Try it; `grpc-client` calls each method once:
//!
//! ```text
//! cargo run --release -p grpc --bin grpc-client -- http://127.0.0.1:8000
//! curl http://127.0.0.1:8000/health
//! curl http://127.0.0.1:8000/anything
//! curl --http2-prior-knowledge http://127.0.0.1:8000/anything
//! ```
//!
//! At a reload (`kill -HUP`) a client is asked to open a new connection, and calls that run are finished on the old one, as long
//! as `--graceful-timeout` allows.

mod clock;

use std::process::ExitCode;

use axum::{Router, routing::get};
use bytes::Bytes;
use clap::Parser;
use grpc::clock::clock_server::ClockServer;
use tonic::service::Routes;
use tower_prefork::{BoxError, Server, WorkerContext, cli};
use tower_wsgi::{
    blocking::BlockingPool,
    handler::WsgiHandler,
    wsgi::{Environ, StartResponse, WsgiService},
};

use crate::clock::WorkerClock;

#[derive(Parser)]
/// A gRPC service beside axum routes and a WSGI application
struct Cli {
    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    Server::new("grpc")
        .args(&cli.server)
        .service(|worker| async move { router(&worker) })
        .run()
}

fn router(worker: &WorkerContext) -> Result<Router, BoxError> {
    let number = u32::try_from(worker.slot())?;
    let grpc = Routes::new(ClockServer::new(WorkerClock { worker: number })).into_axum_router();
    let threads = worker.config().thread_workers;
    if threads == 0 {
        return Err("the WSGI application blocks: give --thread-workers 1 or more".into());
    }
    let pool = BlockingPool::new(threads);
    worker.monitor(&pool);
    let wsgi = WsgiHandler::builder()
        .application(&pool, WsgiService::new(greet))
        .build();
    Ok(grpc
        .route("/health", get(async || "ok\n"))
        .fallback_service(wsgi))
}

/// The WSGI application.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of an application"
)]
fn greet(
    environ: Environ,
    start_response: StartResponse,
) -> Result<[Result<Bytes, BoxError>; 1], BoxError> {
    start_response.start("200 OK", [("content-type", "text/plain; charset=utf-8")])?;
    let (path, protocol) = (environ.uri().path(), environ.version());
    let greeting = format!("this is {path} over {protocol:?}\n");
    Ok([Ok(greeting.into())])
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
