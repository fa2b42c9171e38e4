//! The servers, each in a process of its own.

use std::{convert::Infallible, fmt, io, ops::ControlFlow, thread};

use axum::{Router, routing::get};
use benches::{HELLO, hello, response, runtime};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::SERVER, request::Parts};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_prefork::{BoxError, Server, Workers, cli};
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    handler::WsgiHandler,
    wait_for_body::WaitForBodyLayer,
};

use crate::Error;

/// What is measured. All of them answer every request with the same few bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// hyper with a service of its own kind: nothing of ours.
    BareHyper,
    /// The wait for the body, and a service on the event loop.
    Handler,
    /// The same with a middleware on the way in, and one on the way out.
    HandlerWithMiddleware,
    /// Our server around the bare service.
    Prefork,
    /// An axum handler that calls `spawn_blocking`, on so many threads.
    SpawnBlocking(usize),
    /// An axum route under our layer, on so many threads.
    BlockingLayer(usize),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BareHyper => f.write_str("bare hyper"),
            Self::Handler => f.write_str("WsgiHandler"),
            Self::HandlerWithMiddleware => f.write_str("WsgiHandler with middleware"),
            Self::Prefork => f.write_str("tower-prefork"),
            Self::SpawnBlocking(threads) => write!(f, "axum, spawn_blocking, threads: {threads}"),
            Self::BlockingLayer(threads) => write!(f, "axum, BlockingLayer, threads: {threads}"),
        }
    }
}

/// Serves the case of this name until the benchmark closes standard input, or dies.
pub(crate) fn run(name: &str) -> Result<(), Error> {
    thread::spawn(|| {
        // What it reads, and how the reading ends, do not matter.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    // The same log for all, as any server has one. It tells the address, too.
    let mut log = cli::Args::default();
    log.log_format = Some(cli::LogFormat::Json);
    log.init_logging();

    let cases = crate::COMPARISONS.map(|(case, base)| [case, base]);
    let case = cases.iter().flatten().find(|it| it.to_string() == name);
    match *case.ok_or_else(|| format!("there is no case {name:?}"))? {
        Case::BareHyper => bare_hyper(),
        Case::Handler => hyper(1, || {
            WsgiHandler::builder()
                .wait_for_body(WaitForBodyLayer::new(8 << 20))
                .service(hello())
                .build()
        }),
        Case::HandlerWithMiddleware => hyper(1, || {
            WsgiHandler::builder()
                .middleware(|_: &mut Parts| ControlFlow::Continue(()))
                .wait_for_body(WaitForBodyLayer::new(8 << 20))
                .service(hello())
                .response_middleware(edit)
                .build()
        }),
        Case::Prefork => prefork(),
        Case::SpawnBlocking(threads) => hyper(threads, || {
            Router::new().route(
                "/",
                get(async || {
                    let answer = tokio::task::spawn_blocking(|| HELLO).await;
                    answer.expect("the function does not panic")
                }),
            )
        }),
        Case::BlockingLayer(threads) => hyper(threads, || {
            let layer = BlockingLayer::new(&BlockingPool::new(threads));
            let service = layer.layer(blocking_fn(|_: Request<axum::body::Body>| {
                Ok::<_, Infallible>(response())
            }));
            Router::new().route_service("/", service)
        }),
    }
}

fn edit(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let server = HeaderValue::from_static("bench");
    response.headers_mut().insert(SERVER, server);
    response
}

fn bare_hyper() -> Result<(), Error> {
    accept(1, || {
        service_fn(async |_: Request<Incoming>| {
            let body = Full::new(Bytes::from_static(HELLO.as_bytes()));
            Ok::<_, Infallible>(Response::new(body))
        })
    })
}

/// hyper around a tower service.
fn hyper<S, B>(threads: usize, make: impl FnOnce() -> S) -> Result<(), Error>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    accept(threads, || TowerToHyperService::new(make()))
}

fn accept<S, B>(threads: usize, make: impl FnOnce() -> S) -> Result<(), Error>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    runtime(threads).block_on(async {
        let service = make();
        let mut http = http1::Builder::new();
        http.header_read_timeout(None);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        tracing::info!(address = %format!("http://{}", listener.local_addr()?), "listening");
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A connection that fails is the load's affair: it counts what it gets.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
        }
    })
}

/// Without a supervisor, so that the process that is measured is the worker.
fn prefork() -> Result<(), Error> {
    // The exit code tells no more than the line on standard error that goes with it.
    let _ = Server::new("bench")
        .bind("127.0.0.1:0")
        .workers(Workers::Count(0))
        .service(|_| async { Ok::<_, BoxError>(hello()) })
        .run();
    Err("the server has ended".into())
}
