//! Bare hyper on an event loop: nothing of ours, nothing else.
//!
//! usage: `hyper-server PORT`

use std::{convert::Infallible, env, error::Error};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder};

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).ok_or("which port?")?.parse()?;
    let mut http = http1::Builder::new();
    http.header_read_timeout(None);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let hello = service_fn(async |_: Request<Incoming>| {
                let body = Full::new(Bytes::from_static(b"Hello, world!"));
                Ok::<_, Infallible>(Response::new(body))
            });
            // A connection that fails is the load's affair: it counts what it gets.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), hello));
        }
    })
}
