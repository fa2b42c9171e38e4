//! `WsgiHandler`: from an empty one to all of its parts, against the bare service.

use std::ops::ControlFlow;

use benches::{hello, request, response, runtime};
use divan::Bencher;
use http::{HeaderValue, Request, Response, header::SERVER, request::Parts};
use tower::{Service, ServiceExt as _};
use tower_wsgi::{
    Body, BufferedBody, blocking::BlockingPool, handler::WsgiHandler,
    wait_for_body::WaitForBodyLayer,
};

fn main() {
    divan::main();
}

fn pass(_: &mut Parts) -> ControlFlow<Response<Body>> {
    ControlFlow::Continue(())
}

fn edit(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let server = HeaderValue::from_static("bench");
    response.headers_mut().insert(SERVER, server);
    response
}

fn bench(bencher: Bencher<'_, '_>, service: &(impl Service<Request<Body>> + Clone)) {
    let runtime = runtime(10);
    bencher
        .with_inputs(request)
        .bench_local_values(|request| runtime.block_on(service.clone().oneshot(request)).is_ok());
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    bench(bencher, &hello());
}

#[divan::bench]
fn not_found(bencher: Bencher<'_, '_>) {
    bench(bencher, &WsgiHandler::builder().build());
}

#[divan::bench]
fn service(bencher: Bencher<'_, '_>) {
    bench(bencher, &WsgiHandler::builder().service(hello()).build());
}

#[divan::bench(args = [1, 3])]
fn middleware_and_service(bencher: Bencher<'_, '_>, count: usize) {
    let empty = WsgiHandler::builder();
    let builder = (0..count).fold(empty, |builder, _| builder.middleware(pass));
    bench(bencher, &builder.service(hello()).build());
}

#[divan::bench]
fn wait_for_body_and_service(bencher: Bencher<'_, '_>) {
    let handler = WsgiHandler::builder()
        .wait_for_body(WaitForBodyLayer::new(8 << 20))
        .service(hello());
    bench(bencher, &handler.build());
}

#[divan::bench]
fn all_but_the_pool(bencher: Bencher<'_, '_>) {
    let handler = WsgiHandler::builder()
        .middleware(pass)
        .wait_for_body(WaitForBodyLayer::new(8 << 20))
        .service(hello())
        .response_middleware(edit);
    bench(bencher, &handler.build());
}

#[divan::bench]
fn all(bencher: Bencher<'_, '_>) {
    let handler = WsgiHandler::builder()
        .middleware(pass)
        .wait_for_body(WaitForBodyLayer::new(8 << 20))
        .blocking(&BlockingPool::new(10), |_: &mut Request<BufferedBody>| {
            response()
        })
        .response_middleware(edit);
    bench(bencher, &handler.build());
}
