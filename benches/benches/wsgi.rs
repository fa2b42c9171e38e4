//! `WsgiService` against the bare service and against a blocking function: on the event loop, and on a pool.

use std::convert::Infallible;

use benches::{HELLO, calls, hello, response, runtime};
use bytes::Bytes;
use divan::Bencher;
use http::Request;
use tower::Layer as _;
use tower_wsgi::{
    Body, BoxError,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    wsgi::{Environ, StartResponse, WsgiService},
};

fn main() {
    divan::main();
}

type Answer = Result<[Result<Bytes, BoxError>; 1], BoxError>;

#[expect(clippy::needless_pass_by_value, reason = "it is an application")]
fn application(_: Environ, start_response: StartResponse) -> Answer {
    start_response.start("200 OK", [("content-type", "text/plain")])?;
    Ok([Ok(Bytes::from_static(HELLO.as_bytes()))])
}

/// As a host for another language does: it looks at every variable.
fn with_all_variables(environ: Environ, start_response: StartResponse) -> Answer {
    for (name, value) in environ.variables() {
        divan::black_box((name, value));
    }
    application(environ, start_response)
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &hello());
}

#[divan::bench]
fn on_loop(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &WsgiService::new(application));
}

#[divan::bench]
fn on_loop_with_all_variables(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &WsgiService::new(with_all_variables));
}

#[divan::bench]
fn function_on_pool(bencher: Bencher<'_, '_>) {
    let function = blocking_fn(|_: Request<Body>| Ok::<_, Infallible>(response()));
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(function);
    calls(bencher, &runtime(1), &service);
}

#[divan::bench]
fn on_pool(bencher: Bencher<'_, '_>) {
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(WsgiService::new(application));
    calls(bencher, &runtime(1), &service);
}

#[divan::bench]
fn on_pool_that_holds_something(bencher: Bencher<'_, '_>) {
    let pool = BlockingPool::new(1).hold(|| ());
    let service = BlockingLayer::new(&pool).layer(WsgiService::new(application));
    calls(bencher, &runtime(1), &service);
}
