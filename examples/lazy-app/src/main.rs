//! An application that takes long to build, built once in each worker.
//!
//! It tests numbers for primality by a sieve (`sieve.rs`), which takes about two seconds of processor
//! time to build. `LazyLayer` builds it at a worker's first request, and `BlockingLayer` above it runs
//! the build on a thread: `/health` responds during the build.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p lazy-app -- --workers 2
//! ```
//!
//! Try it:
//!
//! ```text
//! time curl http://127.0.0.1:8000/prime/104729      # the first request to a worker builds the sieve
//! time curl http://127.0.0.1:8000/prime/104729      # the others do not
//! curl http://127.0.0.1:8000/health
//! ```
//!
//! With `--eager` a worker builds the sieve before it is ready, so that no client waits, but the start
//! takes longer. With `--fail-first` the first build in each worker fails: its requests get 503 with
//! `Retry-After`, and the next request builds again. With both, the server does not start.
//!
//! Ctrl-C or `kill` stops it gracefully.

mod question;
mod sieve;

use std::{
    convert::Infallible,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{Router, routing::get, routing::get_service};
use clap::Parser;
use http::{Request, Response};
use tower::{Layer as _, Service};
use tower_prefork::{BoxError, Server, cli};
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    lazy::LazyLayer,
};

use crate::sieve::Sieve;

#[derive(Parser)]
/// Tests numbers for primality by a sieve that is built once in each worker
struct Cli {
    #[command(flatten)]
    application: Options,

    #[command(flatten)]
    server: cli::Args,
}

#[derive(Clone, clap::Args)]
struct Options {
    /// Largest number of the sieve; time and memory are proportional to it. The default takes 64 MB
    #[arg(long, value_name = "NUMBER", default_value = "1000000000", value_parser = clap::value_parser!(u64).range(..=10_000_000_000))]
    limit: u64,

    /// Build the sieve before the worker is ready instead of at its first request
    #[arg(long)]
    eager: bool,

    /// Let the first build in each worker fail, to show the recovery
    #[arg(long)]
    fail_first: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    let options = cli.application;
    Server::new("primes")
        .args(&cli.server)
        .service(|worker| async move {
            let threads = worker.config().thread_workers;
            if threads == 0 {
                let hint = "the sieve takes long to build: give --thread-workers 1 or more";
                return Err(hint.into());
            }
            let pool = BlockingPool::new(threads);
            worker.monitor(&pool);
            router(&pool, options).await
        })
        .run()
}

/// The service of a worker, on the threads of this pool.
async fn router(pool: &BlockingPool, options: Options) -> Result<Router, BoxError> {
    let eager = options.eager;
    let failed = AtomicBool::new(!options.fail_first);
    let build = Arc::new(move || {
        if failed.swap(true, Ordering::Relaxed) {
            Ok(build(options.limit))
        } else {
            Err("--fail-first was given, and this is the first build")
        }
    });
    let primes = LazyLayer::new().layer(move || {
        let build = Arc::clone(&build);
        async move { build() }
    });
    if eager {
        // It blocks the event loop, which serves no request yet.
        primes.warm().await?;
    }
    let primes = BlockingLayer::new(pool).layer(primes);
    Ok(Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/prime/{number}", get_service(primes)))
}

/// The expensive build.
fn build(
    limit: u64,
) -> impl Service<Request<axum::body::Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let start = Instant::now();
    let sieve = Arc::new(Sieve::up_to(limit));
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(limit, seconds, "the sieve is built");
    blocking_fn(move |request: Request<axum::body::Body>| {
        Ok(question::respond(&sieve, request.uri()))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body as RequestBody;
    use clap::CommandFactory as _;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    const OPTIONS: Options = Options {
        limit: 1000,
        eager: false,
        fail_first: false,
    };

    async fn ask(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(RequestBody::empty());
        let Ok(response) = router.clone().oneshot(request.expect("it is valid")).await;
        response.status()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[tokio::test]
    async fn a_failed_build_is_a_503_and_the_next_request_builds_again() {
        let options = Options {
            fail_first: true,
            ..OPTIONS
        };
        let router = router(&BlockingPool::new(2), options)
            .await
            .expect("nothing is built yet");
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(ask(&router, "/prime/7").await, unavailable);
        assert_eq!(ask(&router, "/prime/7").await, StatusCode::OK);
        assert_eq!(ask(&router, "/health").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn an_eager_build_that_fails_is_an_error_of_the_start() {
        let options = Options {
            eager: true,
            fail_first: true,
            ..OPTIONS
        };
        let error = router(&BlockingPool::new(1), options)
            .await
            .expect_err("the build fails");
        assert!(error.to_string().contains("--fail-first"));
    }

    #[tokio::test]
    async fn an_eager_build_serves_the_first_request() {
        let options = Options {
            eager: true,
            ..OPTIONS
        };
        let router = router(&BlockingPool::new(1), options)
            .await
            .expect("it can be built");
        assert_eq!(ask(&router, "/prime/7").await, StatusCode::OK);
    }
}
