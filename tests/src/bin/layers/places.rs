//! Each layer alone, in a `ServiceBuilder`, and on a `Router` with `layer`, `route_service` and
//! `fallback_service`: `/<layer>/<place>`.

use std::{convert::Infallible, io::Read as _};

use axum::{Router, body::Body as AxumBody, routing::any};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt as _, service_fn, util::BoxCloneSyncService,
};
use tower_wsgi::{
    Body, BoxError, BufferedBody,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    lazy::LazyLayer,
    response_middleware::ResponseMiddlewareLayer,
    wait_for_body::WaitForBodyLayer,
    wsgi::{Environ, StartResponse, WsgiService},
};

type Boxed = BoxCloneSyncService<Request<AxumBody>, Response<Body>, Infallible>;

/// A service of any kind in the three places of a router that take one.
fn places(alone: Boxed, builder: Boxed) -> Router {
    Router::new()
        .route_service("/route_service", alone.clone())
        .route_service("/service_builder", builder)
        .nest_service("/fallback", Router::new().fallback_service(alone))
}

fn boxed<S, B>(service: S) -> Boxed
where
    S: Service<Request<AxumBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(service.map_response(|response| response.map(Body::new)))
}

async fn echo<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let bytes = request.into_body().collect().await;
    Ok(Response::new(Body::from(
        bytes.expect("a body that is whole").to_bytes(),
    )))
}

/// What an axum user writes: it knows nothing of the layers.
async fn axum_echo(body: axum::body::Bytes) -> axum::body::Bytes {
    body
}

pub(crate) fn router() -> Router {
    let wait = WaitForBodyLayer::new(1 << 20);
    let buffered = || service_fn(echo::<BufferedBody>);
    let wait_for_body = places(
        boxed(wait.layer(buffered())),
        boxed(
            ServiceBuilder::new()
                .layer(wait.clone())
                .service(buffered()),
        ),
    )
    .merge(on_router().layer(wait));

    let blocking = BlockingLayer::new(&BlockingPool::new(2));
    let function = || blocking_fn(|_: Request<AxumBody>| on_a_thread());
    let blocking = places(
        boxed(blocking.layer(function())),
        boxed(
            ServiceBuilder::new()
                .layer(blocking.clone())
                .service(function()),
        ),
    )
    .merge(on_router().layer(blocking));

    let make = || async { Ok::<_, BoxError>(service_fn(echo::<AxumBody>)) };
    // Above it a router cannot put it: what it wraps is a function, not a service.
    let lazy = places(
        boxed(LazyLayer::new().layer(make)),
        boxed(ServiceBuilder::new().layer(LazyLayer::new()).service(make)),
    );

    let edit = ResponseMiddlewareLayer::new().with(mark);
    let plain = || service_fn(echo::<AxumBody>);
    let response_middleware = places(
        boxed(edit.layer(plain())),
        boxed(ServiceBuilder::new().layer(edit.clone()).service(plain())),
    )
    .merge(on_router().layer(edit));

    let pool = BlockingPool::new(2);
    let wsgi = places(
        boxed(BlockingLayer::streaming(&pool).layer(WsgiService::new(wsgi_echo))),
        boxed(
            ServiceBuilder::new()
                .layer(WaitForBodyLayer::new(1 << 20))
                .layer(BlockingLayer::new(&pool))
                .service(WsgiService::new(wsgi_echo)),
        ),
    );

    Router::new()
        .nest("/wsgi", wsgi)
        .nest("/wait_for_body", wait_for_body)
        .nest("/blocking", blocking)
        .nest("/lazy", lazy)
        .nest("/response_middleware", response_middleware)
}

#[expect(clippy::needless_pass_by_value, reason = "it is an application")]
fn wsgi_echo(
    mut environ: Environ,
    start_response: StartResponse,
) -> Result<[Result<Bytes, BoxError>; 1], BoxError> {
    let mut body = Vec::new();
    environ.input().read_to_end(&mut body)?;
    start_response.start("200 OK", [("content-type", "text/plain")])?;
    Ok([Ok(body.into())])
}

fn on_router() -> Router {
    Router::new().route("/layer", any(axum_echo))
}

fn on_a_thread() -> Result<Response<Body>, Infallible> {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().to_owned();
    Ok(Response::new(Body::from(name)))
}

fn mark(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let value = HeaderValue::from_static("yes");
    response.headers_mut().insert("marked", value);
    response
}
