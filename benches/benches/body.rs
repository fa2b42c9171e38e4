//! The cost of `Body` over the body inside it, and of `BufferedBody` over its bytes.

use std::{hint::black_box, io::Read as _};

use benches::runtime;
use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use http_body_util::{BodyExt, Full};
use tower_wsgi::{Body, BufferedBody};

fn main() {
    divan::main();
}

const ONE_PIECE: Bytes = Bytes::from_static(b"Hello, world!");

/// Read to its end as a response body.
mod response {
    use super::*;

    fn collect<B>(bencher: Bencher<'_, '_>, make: impl Fn() -> B + Sync)
    where
        B: BodyExt<Data = Bytes>,
    {
        let runtime = runtime(1);
        bencher
            .with_inputs(make)
            .bench_local_values(|body| runtime.block_on(body.collect()).is_ok());
    }

    #[divan::bench]
    fn bare_full(bencher: Bencher<'_, '_>) {
        collect(bencher, || Full::new(ONE_PIECE));
    }

    #[divan::bench]
    fn body_from_bytes(bencher: Bencher<'_, '_>) {
        collect(bencher, || Body::from(ONE_PIECE));
    }

    #[divan::bench]
    fn body_around_full(bencher: Bencher<'_, '_>) {
        collect(bencher, || Body::new(Full::new(ONE_PIECE)));
    }

    #[divan::bench]
    fn body_around_body(bencher: Bencher<'_, '_>) {
        collect(bencher, || Body::new(Body::from(ONE_PIECE)));
    }
}

/// Read as a file.
#[divan::bench(args = [100, 100_000])]
fn buffered_body_read(bencher: Bencher<'_, '_>, length: usize) {
    bencher
        .counter(BytesCount::new(length))
        .with_inputs(|| BufferedBody::from(vec![b'x'; length]))
        .bench_local_values(|mut body| {
            let mut buffer = [0; 8 << 10];
            while body.read(&mut buffer).is_ok_and(|count| count > 0) {
                black_box(&buffer);
            }
        });
}
