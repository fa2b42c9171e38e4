//! `LazyLayer`: a call of a service that has been built, against the bare service.

use std::convert::Infallible;

use benches::{calls, hello, request, runtime};
use divan::Bencher;
use tower::{Layer as _, ServiceExt as _};
use tower_wsgi::lazy::LazyLayer;

fn main() {
    divan::main();
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    calls(bencher, &runtime(1), &hello());
}

#[divan::bench]
fn lazy_built(bencher: Bencher<'_, '_>) {
    let runtime = runtime(1);
    let service = LazyLayer::new().layer(async || Ok::<_, Infallible>(hello()));
    runtime.block_on(service.warm()).expect("it cannot fail");
    calls(bencher, &runtime, &service);
}

/// With the build, which is empty.
#[divan::bench]
fn lazy_first_request(bencher: Bencher<'_, '_>) {
    let runtime = runtime(1);
    let make = || LazyLayer::new().layer(async || Ok::<_, Infallible>(hello()));
    bencher
        .with_inputs(|| (make(), request()))
        .bench_local_values(|(service, request)| runtime.block_on(service.oneshot(request)));
}
