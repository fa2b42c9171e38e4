//! `WaitForBodyLayer`: without a body, in memory and on disk, against a service that drops the body.

use benches::{calls, hello, request_with, runtime};
use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use tower::{Layer as _, ServiceExt as _};
use tower_wsgi::{Body, wait_for_body::WaitForBodyLayer};

fn main() {
    divan::main();
}

/// The approximate size of hyper's reads of a large body.
const FRAME: usize = 16 << 10;

/// A body that arrives frame by frame.
fn upload(frames: usize) -> Request<Body> {
    let frame = Bytes::from_static(&[b'x'; FRAME]);
    let frames = (0..frames).map(move |_| Ok::<_, std::io::Error>(Frame::data(frame.clone())));
    request_with(Body::new(StreamBody::new(stream::iter(frames))))
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &hello());
}

#[divan::bench]
fn no_body(bencher: Bencher<'_, '_>) {
    let service = WaitForBodyLayer::new(1).layer(hello());
    calls(bencher, &runtime(1), &service);
}

#[divan::bench]
fn one_small_frame(bencher: Bencher<'_, '_>) {
    let runtime = runtime(1);
    let service = WaitForBodyLayer::new(1 << 10).layer(hello());
    bencher
        .with_inputs(|| request_with(Body::from("name=Ada&message=hello")))
        .bench_local_values(|request| runtime.block_on(service.clone().oneshot(request)));
}

#[divan::bench(args = [4, 60])]
fn frames_in_memory(bencher: Bencher<'_, '_>, frames: usize) {
    let runtime = runtime(1);
    let service = WaitForBodyLayer::new(1 << 30).layer(hello());
    bencher
        .counter(BytesCount::new(frames * FRAME))
        .with_inputs(|| upload(frames))
        .bench_local_values(|request| runtime.block_on(service.clone().oneshot(request)));
}

#[divan::bench(args = [4, 640], sample_count = 20)]
fn frames_on_disk(bencher: Bencher<'_, '_>, frames: usize) {
    let runtime = runtime(1);
    let layer = WaitForBodyLayer::new(1 << 30).memory_threshold(0);
    let service = layer.layer(hello());
    bencher
        .counter(BytesCount::new(frames * FRAME))
        .with_inputs(|| upload(frames))
        .bench_local_values(|request| runtime.block_on(service.clone().oneshot(request)));
}
