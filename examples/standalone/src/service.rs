//! The layers around the blocking code.

use std::ops::ControlFlow;

use http::request::Parts;
use http::{Request, Response};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;
use tower_prefork::{BoxError, HttpService, WorkerContext};
use tower_wsgi::blocking::BlockingPool;
use tower_wsgi::handler::WsgiHandler;
use tower_wsgi::wait_for_body::WaitForBodyLayer;
use tower_wsgi::{Body, BufferedBody};

use crate::app;
use crate::options::Options;
use crate::store::Store;

/// Builds the service of one worker. Fails if the database cannot be opened: then the program ends.
pub(crate) fn build(
    worker: &WorkerContext,
    options: &Options,
) -> Result<impl HttpService + use<>, BoxError> {
    let threads = worker.config().thread_workers;
    if threads == 0 {
        return Err("the guest book blocks: give --thread-workers 1 or more".into());
    }
    let store = Store::open(&options.database)?;
    let pool = BlockingPool::new(threads)
        .max_queued(options.max_queued)
        .queue_timeout(options.queue_timeout);
    worker.monitor(&pool);
    let handler = WsgiHandler::builder()
        .middleware(health)
        .wait_for_body(WaitForBodyLayer::new(options.max_body).timeout(options.body_deadline))
        .blocking(&pool, move |request: &mut Request<BufferedBody>| {
            let response = app::respond(&store, request)?;
            Ok::<_, BoxError>(response.map(|response| response.map(Body::from)))
        })
        .build();
    Ok(ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .service(handler))
}

/// Responds on the event loop, so also while all threads are busy.
fn health(request: &mut Parts) -> ControlFlow<Response<Body>> {
    match request.uri.path() {
        "/health" => ControlFlow::Break(app::health(&request.method).map(Body::from)),
        _ => ControlFlow::Continue(()),
    }
}
