//! `WsgiService` against the bare service and against a blocking function: on the event loop, and on a pool.

use std::convert::Infallible;

use benches::{
    application::{application, with_all_variables},
    calls, hello, response, runtime,
};
use divan::Bencher;
use http::Request;
use tower::Layer as _;
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    wsgi::WsgiService,
};

fn main() {
    divan::main();
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
    let pool = BlockingPool::new(1).thread_guard(|| ());
    let service = BlockingLayer::new(&pool).layer(WsgiService::new(application));
    calls(bencher, &runtime(1), &service);
}
