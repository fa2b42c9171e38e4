//! Servers on plain axum.
//!
//! usage: `axum-server serve|websocket|spawn-blocking THREADS PORT`

#[path = "../websocket_echo.rs"]
mod websocket_echo;

use std::{env, error::Error};

use axum::{Router, extract::Request, routing::get, serve::ListenerExt as _};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, runtime::Builder, task::spawn_blocking};
use tower::ServiceExt as _;

const HELLO: &str = "Hello, world!";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [case, threads, port] = &arguments[..] else {
        return Err("usage: axum-server serve|websocket|spawn-blocking THREADS PORT".into());
    };
    match case.as_str() {
        "serve" => serve(hello(), threads.parse()?, port.parse()?),
        "websocket" => serve(websocket_echo::router(), threads.parse()?, port.parse()?),
        "spawn-blocking" => blocking(threads.parse()?, port.parse()?),
        other => Err(format!("there is no case {other:?}").into()),
    }
}

/// The first example of axum's documentation.
fn hello() -> Router {
    Router::new().route("/", get(async || HELLO))
}

/// axum's own server, on `threads` event loops.
fn serve(router: Router, threads: usize, port: u16) -> Result<(), Box<dyn Error>> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        // As in ours: without it, a response may wait for the acknowledgement of the previous one.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

/// A handler that blocks, on `threads` threads beside one event loop.
fn blocking(threads: usize, port: u16) -> Result<(), Box<dyn Error>> {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let handler = async || {
            let response = spawn_blocking(|| HELLO).await;
            response.expect("the function does not panic")
        };
        let router = Router::new().route("/", get(handler));
        let service = TowerToHyperService::new(router.map_request(
            |request: Request<hyper::body::Incoming>| request.map(axum::body::Body::new),
        ));
        let mut http = http1::Builder::new();
        http.header_read_timeout(None);
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // The load generator counts failed connections.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
        }
    })
}
