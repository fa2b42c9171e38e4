//! The service of one worker: three kinds of services in one axum router.

use axum::{
    Router,
    error_handling::HandleError,
    http::StatusCode,
    routing::{get, post_service},
};
use jsonrpsee::server::{BatchRequestConfig, Server, ServerConfig, stop_channel};
use tower::Layer as _;
use tower_prefork::{BoxError, WorkerContext};
use tower_wsgi::{
    blocking::{BlockingLayer, BlockingPool},
    wait_for_body::WaitForBodyLayer,
    wsgi::{Environ, StartResponse, WsgiService},
};

use crate::{
    methods::{ApiServer as _, Methods},
    page::page,
};

/// The most bytes of a request or a response.
const MAX_BODY: u32 = 256 << 10;
/// The most calls in a batch.
const MAX_BATCH: u32 = 50;
/// The most requests for methods at a time; another one gets status 429.
const MAX_REQUESTS: u32 = 1000;

/// Builds the service of a worker.
pub(crate) fn build(worker: &WorkerContext) -> Result<Router, BoxError> {
    let threads = worker.config().thread_workers;
    if threads == 0 {
        return Err("the methods and the page block: give --thread-workers 1 or more".into());
    }
    let pool = BlockingPool::new(threads);
    worker.monitor(&pool);

    let limits = ServerConfig::builder()
        // Subscriptions by WebSocket would need `stop` at the drain of a worker.
        .http_only()
        .max_request_body_size(MAX_BODY)
        .max_response_body_size(MAX_BODY)
        .max_connections(MAX_REQUESTS)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .build();
    let methods = Methods::new(worker.slot(), pool.clone()).into_rpc();
    // The server drains its workers itself: it waits for the responses.
    let (stop, _) = stop_channel();
    let rpc = Server::builder()
        .set_config(limits)
        .to_service_builder()
        .build(methods, stop);

    let page = |environ: Environ, start: StartResponse| page(&environ, &start);
    let wsgi = WsgiService::new(page).multithread(threads > 1);
    let wsgi = WaitForBodyLayer::new(MAX_BODY.into()).layer(BlockingLayer::new(&pool).layer(wsgi));

    Ok(Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/rpc", post_service(HandleError::new(rpc, fail)))
        .fallback_service(wsgi))
}

async fn fail(error: BoxError) -> StatusCode {
    tracing::error!(error, "the methods are not available");
    StatusCode::INTERNAL_SERVER_ERROR
}
