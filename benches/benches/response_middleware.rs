//! `ResponseMiddlewareLayer`: with none to three middleware, against the bare service.

use benches::{calls, hello, runtime};
use divan::Bencher;
use http::{HeaderValue, Response, header::SERVER, request::Parts};
use tower::Layer as _;
use tower_wsgi::{
    Body,
    response_middleware::{ResponseMiddlewareLayer, from_async_fn},
};

fn main() {
    divan::main();
}

fn edit(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let server = HeaderValue::from_static("bench");
    response.headers_mut().insert(SERVER, server);
    response
}

async fn edit_async(parts: &Parts, response: Response<Body>) -> Response<Body> {
    edit(parts, response)
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &hello());
}

#[divan::bench(args = [0, 1, 3])]
fn closures(bencher: Bencher<'_, '_>, count: usize) {
    let layer = (0..count).fold(ResponseMiddlewareLayer::new(), |layer, _| layer.with(edit));
    layered(bencher, &layer);
}

#[divan::bench(args = [1, 3])]
fn async_functions(bencher: Bencher<'_, '_>, count: usize) {
    let layer = (0..count).fold(ResponseMiddlewareLayer::new(), |layer, _| {
        layer.with(from_async_fn(edit_async))
    });
    layered(bencher, &layer);
}

fn layered(bencher: Bencher<'_, '_>, layer: &ResponseMiddlewareLayer) {
    calls(bencher, &runtime(1), &layer.layer(hello()));
}
