//! A WSGI application (PEP 3333) in Rust: `app.rs` gets an environ and `start_response`, and returns the
//! pieces of the response. The layers here decide on which thread it runs.
//!
//! Start it on ten threads, or with `--thread-workers 0` on the event loop:
//!
//! ```text
//! mkfifo /tmp/news
//! cargo run --release -p wsgi-app -- --thread-workers 10 --news /tmp/news
//! ```
//!
//! Try it:
//!
//! ```text
//! curl -i http://127.0.0.1:8000/                       # one piece: it has a Content-Length
//! curl -i 'http://127.0.0.1:8000/squares?to=10'        # an iterator: it is chunked
//! curl -i 'http://127.0.0.1:8000/report?to=10'         # the same with write
//! curl -N http://127.0.0.1:8000/news & echo hello > /tmp/news    # each line when it comes
//! curl -N http://127.0.0.1:8000/listen & curl http://127.0.0.1:8000/say?hello    # listeners hold no thread
//! curl -i -T large.file http://127.0.0.1:8000/count    # read while it arrives
//! curl -I http://127.0.0.1:8000/program                # a file
//! curl -i 'http://127.0.0.1:8000/squares?to=10&fail=5' # fails in the middle: curl says so
//! ```

mod app;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tower::{Layer as _, util::Either};
use tower_prefork::{HttpService, Server, WorkerContext, cli};
use tower_wsgi::{
    blocking::{BlockingLayer, BlockingPool},
    wait_for_body::WaitForBodyLayer,
    wsgi::WsgiService,
};

use crate::app::App;

#[derive(Parser)]
/// A WSGI application in Rust
struct Cli {
    /// Named pipe or file with the lines for /news
    #[arg(long, value_name = "FILE", default_value = "/dev/null")]
    news: PathBuf,

    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    Server::new("wsgi-app")
        .args(&cli.server)
        .service(
            |worker| async move { Ok::<_, tower_prefork::BoxError>(service(&worker, cli.news)) },
        )
        .run()
}

fn service(worker: &WorkerContext, news: PathBuf) -> impl HttpService + use<> {
    let threads = worker.config().thread_workers;
    let wsgi = WsgiService::new(App::new(news)).multithread(threads > 1);
    if threads == 0 {
        // The event loop cannot wait for a body while the application reads it.
        return Either::Left(WaitForBodyLayer::new(1 << 30).layer(wsgi));
    }
    // A thread can wait. A client that sends slowly holds the thread then, which this layer allows.
    let pool = BlockingPool::new(threads);
    worker.monitor(&pool);
    Either::Right(BlockingLayer::streaming(&pool).layer(wsgi))
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
