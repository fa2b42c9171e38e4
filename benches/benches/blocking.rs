//! `BlockingLayer`: against the bare service, and against the usual alternative, a
//! `spawn_blocking` in each request.

use std::convert::Infallible;

use benches::{hello, request, response, runtime};
use divan::{Bencher, counter::ItemsCount};
use futures_util::future::join_all;
use http::Request;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
};

fn main() {
    divan::main();
}

/// Concurrent requests.
const IN_FLIGHT: usize = 64;

/// A single request, whose cost is mostly that of the two wake-ups.
mod one {
    use super::*;

    #[divan::bench]
    fn bare(bencher: Bencher<'_, '_>) {
        bench(bencher, 1, 1, &hello());
    }

    #[divan::bench]
    fn spawn_blocking(bencher: Bencher<'_, '_>) {
        bench(bencher, 1, 1, &naive());
    }

    #[divan::bench]
    fn layer(bencher: Bencher<'_, '_>) {
        bench(bencher, 1, 1, &layered(1));
    }
}

/// Many concurrent requests, which share wake-ups.
mod many {
    use super::*;

    #[divan::bench]
    fn bare(bencher: Bencher<'_, '_>) {
        bench(bencher, IN_FLIGHT, 1, &hello());
    }

    #[divan::bench(args = [1, 4, 10])]
    fn spawn_blocking(bencher: Bencher<'_, '_>, threads: usize) {
        bench(bencher, IN_FLIGHT, threads, &naive());
    }

    #[divan::bench(args = [1, 4, 10])]
    fn layer(bencher: Bencher<'_, '_>, threads: usize) {
        bench(bencher, IN_FLIGHT, threads, &layered(threads));
    }
}

fn naive()
-> impl Service<Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone {
    service_fn(async |_: Request<Body>| {
        let response = tokio::task::spawn_blocking(response).await;
        Ok(response.expect("the function does not panic"))
    })
}

fn layered(
    threads: usize,
) -> impl Service<Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone {
    let pool = BlockingPool::new(threads);
    BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
        Ok::<_, Infallible>(response())
    }))
}

fn bench(
    bencher: Bencher<'_, '_>,
    in_flight: usize,
    threads: usize,
    service: &(impl Service<Request<Body>> + Clone),
) {
    let runtime = runtime(threads);
    bencher
        .counter(ItemsCount::new(in_flight))
        .with_inputs(|| (0..in_flight).map(|_| request()).collect::<Vec<_>>())
        .bench_local_values(|requests| {
            let responses = requests
                .into_iter()
                .map(|request| service.clone().oneshot(request));
            runtime.block_on(join_all(responses)).len()
        });
}
