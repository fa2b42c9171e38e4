//! The socket that a WebSocket request has in its environ, under `axum::serve`.

use std::net::SocketAddr;

use axum::Router;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower_wsgi_python::{PythonApp, PythonAppBuilder};

const OPENING: &[u8] =
    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn serve(name: &str, builder: PythonAppBuilder) -> SocketAddr {
    let app = builder.load(&format!("tests.applications:{name}")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router: Router = Router::new().fallback_service(app);
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// Sends a request, and reads the head of the response.
async fn request(address: SocketAddr, request: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let head = read_head(&mut stream).await;
    (stream, head)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

async fn exchange(stream: &mut TcpStream, sent: &[u8]) {
    stream.write_all(sent).await.unwrap();
    let mut received = vec![0; sent.len()];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn an_application_switches_protocols_on_its_socket() {
    for threads in [0, 2] {
        let builder = PythonApp::builder().thread_workers(threads);
        let address = serve("switches", builder).await;
        // The application sends the first bytes together with its head.
        let (mut stream, head) = request(address, OPENING).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-accept: x\r\n"), "{head}");
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"first");
        exchange(&mut stream, b"hello").await;
        exchange(&mut stream, &[7; 100_000][..]).await;
        // Its end reaches the application, and the application's end reaches the client.
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
    }
}

#[tokio::test]
async fn an_application_that_leaves_its_socket_alone_responds_as_ever() {
    let address = serve("switches", PythonApp::builder()).await;
    let (mut stream, head) = request(address, &with_path("/no")).await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    // The connection is good for another request.
    stream.write_all(OPENING).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
}

#[tokio::test]
async fn what_is_no_101_is_not_sent() {
    let address = serve("switches", PythonApp::builder()).await;
    for path in ["/wrong", "/half"] {
        let (_, head) = request(address, &with_path(path)).await;
        assert!(head.starts_with("http/1.1 500 "), "{head}");
    }
}

#[tokio::test]
async fn more_sockets_than_threads_are_refused() {
    let builder = PythonApp::builder().websocket_threads(2);
    let address = serve("switches", builder).await;
    let (mut first, _) = request(address, OPENING).await;
    let (_second, _) = request(address, OPENING).await;
    let (_, head) = request(address, OPENING).await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert!(head.contains("retry-after: "), "{head}");
    // Others do not need these threads.
    let plain = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    let (_, head) = request(address, plain).await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    first.shutdown().await.unwrap();
    first.read_to_end(&mut Vec::new()).await.unwrap();
    loop {
        // The thread ends its call a moment after the client has seen the end.
        let (_, head) = request(address, OPENING).await;
        if head.starts_with("http/1.1 101 ") {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_threads_for_them_there_are_no_sockets() {
    let builder = PythonApp::builder().websocket_threads(0);
    let address = serve("switches", builder).await;
    let (_, head) = request(address, OPENING).await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
}

fn with_path(path: &str) -> Vec<u8> {
    let opening = str::from_utf8(OPENING).unwrap();
    opening.replace("/socket", path).into()
}
