//! One keep-alive connection to a server of `tower-prefork`, with the client on the same thread.

use std::io;

use benches::{HELLO, hello};
use gungraun::{library_benchmark, library_benchmark_group};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tower_prefork::{AccessLog, BoxError, Server};

use crate::CALLS;

library_benchmark_group!(name = in_server, benchmarks = [requests]);

const GET: &str = "GET /path/to/something?with=a&query HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\n\
                   Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n";

const POST: &str = "POST /guestbook HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 22\r\n\r\nname=Ada&message=hello";

#[library_benchmark]
#[bench::plain(Server::new("bench"), GET)]
#[bench::body(Server::new("bench"), POST)]
#[bench::access_log(with_access_log(), GET)]
fn requests(server: Server, request: &str) -> usize {
    let (ready, addresses) = oneshot::channel();
    let client = async move {
        let addresses: Vec<String> = addresses.await.unwrap_or_default();
        let address = addresses[0].trim_start_matches("http://");
        exchange(address, request)
            .await
            .expect("the server responds");
    };
    server
        .bind("127.0.0.1:0")
        .service(|_| async { Ok::<_, BoxError>(hello()) })
        .run_until(client, |addresses| drop(ready.send(addresses)))
        .expect("the server starts")
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
