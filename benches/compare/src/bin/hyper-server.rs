//! Bare hyper on an event loop.
//!
//! It responds with `Hello, world!` or with the given number of bytes, and to a request with a body with that body.
//!
//! usage: `hyper-server PORT [BYTES]`

use std::{env, error::Error};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let port: u16 = arguments.next().ok_or("which port?")?.parse()?;
    let response = match arguments.next() {
        Some(bytes) => Bytes::from(vec![b'x'; bytes.parse()?]),
        None => Bytes::from_static(b"Hello, world!"),
    };
    let mut http = http1::Builder::new();
    http.header_read_timeout(None);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let response = response.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let response = response.clone();
                async move {
                    let body = request.into_body();
                    let response = if body.is_end_stream() {
                        response
                    } else {
                        body.collect().await?.to_bytes()
                    };
                    hyper::Result::Ok(Response::new(Full::new(response)))
                }
            });
            // The load generator counts failed connections.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    })
}
