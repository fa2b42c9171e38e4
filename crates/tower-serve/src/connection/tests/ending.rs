//! Ends that do not destroy the response, over real sockets.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use super::*;

/// Serves connections until the future is dropped.
async fn listening<S: HttpService>(server: &Server, service: S) -> (SocketAddr, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let shared = server.shared.clone();
    let served = tokio::spawn(async move {
        while let Ok((io, peer)) = listener.accept().await {
            tokio::spawn(serve(
                io,
                ConnectInfo::tcp(address, peer),
                service.clone(),
                shared.clone(),
            ));
        }
    });
    (address, served)
}

async fn too_large(_: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new("too large".to_owned());
    *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

/// Sends the whole of a request before it looks for a response, as many clients do.
fn upload(address: SocketAddr, head: &str, length: usize) -> String {
    let mut client = TcpStream::connect(address).expect("a connection");
    for end in [
        client.set_read_timeout(Some(LONG)),
        client.set_write_timeout(Some(LONG)),
    ] {
        end.expect("a time-out");
    }
    client.write_all(head.as_bytes()).expect("sent");
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..length / chunk.len() {
        client.write_all(&chunk).expect("taken");
    }
    let mut response = String::new();
    client.read_to_string(&mut response).expect("an response");
    response
}

#[tokio::test]
async fn an_early_response_to_a_large_upload_arrives() {
    const LENGTH: usize = 64 << 20;
    let server = Server::new();
    let (address, served) = listening(&server, service_fn(too_large)).await;
    for head in [
        // Refused by the service, by a check, and by hyper.
        (
            413,
            format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n"),
        ),
        (
            400,
            format!("POST / HTTP/1.1\r\ncontent-length: {LENGTH}\r\n\r\n"),
        ),
        (
            400,
            format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +{LENGTH}\r\n\r\n"),
        ),
    ] {
        let (status, head) = head;
        for _ in 0..20 {
            let head = head.clone();
            let response = tokio::task::spawn_blocking(move || upload(address, &head, LENGTH));
            let response = bounded(response).await.expect("no panic");
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{response}"
            );
        }
    }
    served.abort();
}

/// Clients that never stop are cut off.
#[tokio::test(start_paused = true)]
async fn lingering_has_an_end() {
    let server = Server::new();
    let mut client = server.connect(service_fn(too_large));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 413);
    let start = Instant::now();
    let mut sent = 0_u64;
    let chunk = [b'x'; 4096];
    while client.io.write_all(&chunk).await.is_ok() {
        sent += 4096;
        if sent.is_multiple_of(1 << 20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    bounded(&mut client.served).await.expect("no panic");
    assert!(start.elapsed() < Duration::from_millis(2200), "in time");

    // The same without a pause.
    let mut client = server.connect(service_fn(too_large));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 413);
    let mut sent = 0_u64;
    while client.io.write_all(&chunk).await.is_ok() {
        sent += 4096;
        assert!(sent < (256 << 20) + (1 << 20), "in bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_does_not_linger() {
    let server = Server::new();
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\n12345",
    ] {
        let mut client = server.connect(echo());
        client.send(request).await;
        assert!(client.response().await.closes());
        let start = Instant::now();
        bounded(&mut client.served).await.expect("no panic");
        assert!(start.elapsed() < Duration::from_millis(10), "{request:?}");
    }
}

/// A pipelined request that is not served must not destroy the response before it.
#[tokio::test]
async fn a_response_before_unserved_requests_arrives() {
    let server = Server::new();
    let (address, served) = listening(
        &server,
        service_fn(async |_: Request<RequestBody>| {
            Ok::<_, Infallible>(
                Response::builder()
                    .header("connection", "close")
                    .body("x".repeat(3 << 20))
                    .expect("valid"),
            )
        }),
    )
    .await;
    for _ in 0..20 {
        let response = tokio::task::spawn_blocking(move || {
            let mut client = TcpStream::connect(address).expect("a connection");
            client.set_read_timeout(Some(LONG)).expect("a time-out");
            // More than hyper reads at once.
            let requests = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
            client.write_all(requests.as_bytes()).expect("sent");
            let mut response = Vec::new();
            client.read_to_end(&mut response).expect("an response");
            client.shutdown(Shutdown::Both).ok();
            response.len()
        });
        let length = bounded(response).await.expect("no panic");
        assert!(length > 3 << 20, "{length}");
    }
    served.abort();
}

/// hyper leaves bytes unwritten when a request with an `Upgrade` field closes its connection.
#[tokio::test(start_paused = true)]
async fn a_response_to_a_request_for_an_upgrade_is_whole() {
    let server = Server::new();
    let mut client = server.connect_with(
        1024,
        service_fn(async |_: Request<RequestBody>| {
            Ok::<_, Infallible>(Response::new("x".repeat(50_000)))
        }),
    );
    client
        .send(
            "POST / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\
             content-length: 100000\r\n\r\n12345",
        )
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let response = client.response().await;
    assert_eq!(response.body.len(), 50_000);
    client.ended().await;
}
