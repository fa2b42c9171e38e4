//! Every layer in every place where it can stand, and routes that misbehave under a whole handler;
//! on `tower_prefork`, or with `--axum` on `axum::serve`.

mod handler;
mod places;

use std::{io, process::ExitCode};

use axum::Router;
use clap::Parser;
use tower_prefork::{BoxError, Server, cli};
use tower_wsgi::blocking::BlockingPool;

/// The layers, for tests.
#[derive(Parser)]
struct LayersCli {
    #[command(flatten)]
    server: cli::Args,

    /// Serve with `axum::serve` instead.
    #[arg(long)]
    axum: bool,

    /// Requests that may wait for a thread.
    #[arg(long, default_value_t = 1024)]
    max_queued: usize,
}

fn main() -> ExitCode {
    let cli = LayersCli::parse();
    cli.server.init_logging();
    if cli.axum {
        return match serve(router(&BlockingPool::new(2).max_queued(cli.max_queued))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    Server::new("layers")
        .args(&cli.server)
        .service(move |worker| async move {
            let threads = worker.config().thread_workers;
            let pool = BlockingPool::new(threads).max_queued(cli.max_queued);
            worker.monitor(&pool);
            Ok::<_, BoxError>(router(&pool))
        })
        .run()
}

fn router(pool: &BlockingPool) -> Router {
    places::router().fallback_service(handler::build(pool))
}

/// As an axum user does; the log lines are those of the other server, for the tests.
#[tokio::main(flavor = "current_thread")]
async fn serve(router: Router) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    eprintln!(" listening address=http://{address}\n ready ");
    axum::serve(listener, router).await
}
