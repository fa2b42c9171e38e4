//! The layers of `tower-wsgi`, on the same runtime and hyper as the servers that they are compared with.

use std::{convert::Infallible, error::Error};

use axum::{Router, extract::Request};
use bytes::Bytes;
use http::Response;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, runtime::Builder};
use tower::{Layer as _, Service, service_fn};
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    handler::WsgiHandler,
    wait_for_body::WaitForBodyLayer,
};

type Result = std::result::Result<(), Box<dyn Error + Send + Sync>>;

/// The full handler without a pool: the body is waited for, and the service runs on the event loop.
pub(crate) fn handler(port: u16) -> Result {
    serve(port, || {
        WsgiHandler::builder()
            .wait_for_body(WaitForBodyLayer::new(8 << 20))
            .service(service_fn(async |_| Ok::<_, Infallible>(hello())))
            .build()
    })
}

/// An axum route under our layer, on `threads` threads.
pub(crate) fn blocking(threads: usize, port: u16) -> Result {
    serve(port, || {
        let layer = BlockingLayer::new(&BlockingPool::new(threads));
        let service = layer.layer(blocking_fn(|_: Request| Ok::<_, Infallible>(hello())));
        Router::new().route_service("/", service)
    })
}

pub(crate) fn hello() -> Response<Body> {
    Response::new(Body::from(Bytes::from_static(b"Hello, world!")))
}

fn serve<S, B>(port: u16, make: impl FnOnce() -> S) -> Result
where
    S: Service<http::Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut http = http1::Builder::new();
    http.header_read_timeout(None);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = TowerToHyperService::new(make());
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // The load generator counts failed connections.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
        }
    })
}
