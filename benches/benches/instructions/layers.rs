//! The layers of `tower-wsgi`, each around the bare service.

use std::ops::ControlFlow;

use benches::{
    HELLO,
    application::{application, with_all_variables},
    hello, request_with,
};
use bytes::Bytes;
use futures_util::stream;
use gungraun::{library_benchmark, library_benchmark_group};
use http::{HeaderValue, Request, Response, header::SERVER, request::Parts};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::task::yield_now;
use tower::Layer as _;
use tower_wsgi::{
    Body, BoxError,
    handler::WsgiHandler,
    wait_for_body::WaitForBodyLayer,
    wsgi::{Deferred, Environ, StartResponse, WsgiService},
};

use crate::{calls::Calls, jobs::jobs};

library_benchmark_group!(
    name = in_layers,
    benchmarks = [handler, wait_for_body, blocking, wsgi]
);

#[library_benchmark]
#[bench::bare(Calls::of(hello()))]
#[bench::service(Calls::of(WsgiHandler::builder().service(hello()).build()))]
#[bench::all_but_the_pool(all_but_the_pool())]
fn handler(calls: Calls) -> Calls {
    calls.make()
}

fn all_but_the_pool() -> Calls {
    let pass = |_: &mut Parts| ControlFlow::Continue(());
    let edit = |_: &Parts, mut response: Response<Body>| {
        let server = HeaderValue::from_static("bench");
        response.headers_mut().insert(SERVER, server);
        response
    };
    let handler = WsgiHandler::builder()
        .middleware(pass)
        .wait_for_body(WaitForBodyLayer::new(8 << 20))
        .service(hello())
        .response_middleware(edit);
    Calls::of(handler.build())
}

#[library_benchmark]
#[bench::no_body(Calls::of(wait()))]
#[bench::small_body(Calls::with(wait(), || request_with(Body::from("name=Ada&message=hello"))))]
#[bench::frames(Calls::with(wait(), upload))]
fn wait_for_body(calls: Calls) -> Calls {
    calls.make()
}

fn wait() -> impl tower::Service<Request<Body>, Response = Response<Body>> + Clone + 'static {
    WaitForBodyLayer::new(8 << 20).layer(hello())
}

/// A body of four frames, which stays in memory.
fn upload() -> Request<Body> {
    let frame = Bytes::from_static(&[b'x'; 16 << 10]);
    let frames = (0..4).map(move |_| Ok::<_, std::io::Error>(Frame::data(frame.clone())));
    request_with(Body::new(StreamBody::new(stream::iter(frames))))
}

#[library_benchmark]
#[bench::job(jobs())]
fn blocking(calls: Calls) -> Calls {
    calls.make()
}

#[library_benchmark]
#[bench::application(Calls::of(WsgiService::new(application)))]
#[bench::all_variables(Calls::of(WsgiService::new(with_all_variables)))]
#[bench::deferred(Calls::of(WsgiService::new(deferred)))]
fn wsgi(calls: Calls) -> Calls {
    calls.make()
}

/// The response of [`application`], in the next turn of the event loop.
#[expect(clippy::needless_pass_by_value, reason = "it is an application")]
fn deferred(_: Environ, start_response: StartResponse) -> Result<Deferred, BoxError> {
    start_response.start("200 OK", [("content-type", "text/plain")])?;
    let piece = async {
        yield_now().await;
        Ok(Bytes::from_static(HELLO.as_bytes()))
    };
    Ok(start_response.defer(stream::once(piece)))
}
