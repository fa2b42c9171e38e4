//! One keep-alive connection to a server of `tower-prefork`, with the client on the same thread.

use std::{convert::Infallible, io};

use benches::{HELLO, hello};
use gungraun::{library_benchmark, library_benchmark_group};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tower::service_fn;
use tower_prefork::{AccessLog, BoxError, Server};
use tower_wsgi::Body;

use crate::CALLS;

library_benchmark_group!(name = in_server, benchmarks = [requests, messages]);

const GET: &str = "GET /path/to/something?with=a&query HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\n\
                   Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n";

const POST: &str = "POST /guestbook HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 22\r\n\r\nname=Ada&message=hello";

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A text frame. The server looks at those of its service alone, so it is not masked.
const MESSAGE: &[u8] = b"\x81\x0dHello, world!";

#[library_benchmark]
#[bench::plain(Server::new("bench"), GET)]
#[bench::body(Server::new("bench"), POST)]
#[bench::access_log(with_access_log(), GET)]
fn requests(server: Server, request: &str) -> usize {
    let (ready, addresses) = oneshot::channel();
    let client = async move {
        let address = address(addresses).await;
        exchange(&address, request)
            .await
            .expect("the server responds");
    };
    server
        .bind("127.0.0.1:0")
        .service(|_| async { Ok::<_, BoxError>(hello()) })
        .run_until(client, |addresses| drop(ready.send(addresses)))
        .expect("the server starts")
}

// Messages of a WebSocket, which the service sends back as they come.
#[library_benchmark]
#[bench::websocket(Server::new("bench"))]
fn messages(server: Server) -> usize {
    let (ready, addresses) = oneshot::channel();
    let client = async move {
        let address = address(addresses).await;
        echo(&address).await.expect("the server sends them back");
    };
    server
        .bind("127.0.0.1:0")
        .service(|_| async { Ok::<_, BoxError>(service_fn(upgrade)) })
        .run_until(client, |addresses| drop(ready.send(addresses)))
        .expect("the server starts")
}

async fn address(addresses: oneshot::Receiver<Vec<String>>) -> String {
    let addresses = addresses.await.unwrap_or_default();
    addresses[0].trim_start_matches("http://").to_owned()
}

fn with_access_log() -> Server {
    Server::new("bench").configure(|config| config.access_log = Some(AccessLog::new("/dev/null")))
}

/// Sends the request repeatedly, each time after the response to the previous one.
async fn exchange(address: &str, request: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut response = Vec::with_capacity(1024);
    for _ in 0..CALLS {
        stream.write_all(request.as_bytes()).await?;
        response.clear();
        while !response.ends_with(HELLO.as_bytes()) {
            if stream.read_buf(&mut response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(())
}

async fn upgrade<B>(mut request: Request<B>) -> Result<Response<Body>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async {
        let mut stream = TokioIo::new(upgrade.await?);
        let mut message = [0; MESSAGE.len()];
        while stream.read_exact(&mut message).await.is_ok() {
            stream.write_all(&message).await?;
        }
        Ok::<_, BoxError>(())
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header("connection", "upgrade");
    let response = response.header("upgrade", "websocket");
    Ok(response.body(Body::empty()).expect("the response is valid"))
}

/// Sends messages, each after the previous one has come back.
async fn echo(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(UPGRADE.as_bytes()).await?;
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut message = [0; MESSAGE.len()];
    for _ in 0..CALLS {
        stream.write_all(MESSAGE).await?;
        stream.read_exact(&mut message).await?;
    }
    Ok(())
}
