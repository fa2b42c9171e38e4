//! Many requests on one connection.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::ReadBuf;

use super::{timeouts::assert_seconds, *};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_connection_serves_many_requests() {
    let server = Server::new();
    let mut client = server.connect(echo());
    for _ in 0..100 {
        client.send(GET).await;
        let response = client.response().await;
        assert_eq!((response.status, response.text()), (200, "GET / a "));
        assert!(!response.closes());
    }
    for body in ["", "one", "two"] {
        let length = body.len();
        client
            .send(format!(
                "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(client.response().await.text(), format!("POST /b a {body}"));
    }
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(client.response().await.closes());
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn http_1_0_closes_unless_asked() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client
        .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.field("connection"), "keep-alive");
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "GET / none ");
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_connection_lines_close_wins() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n")
        .await;
    assert!(client.response().await.closes());
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_responded_to_in_order() {
    let server = Server::new();
    // The first takes longest.
    let mut client = server.connect(service_fn(async |request: Request<RequestBody>| {
        let path = request.uri().path().to_owned();
        let wait = 10 - path[1..].parse::<u64>().expect("a number");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        Ok::<_, Infallible>(Response::new(path))
    }));
    let requests: String = (0..10)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .collect();
    client.send(requests).await;
    for number in 0..10 {
        assert_eq!(client.response().await.text(), format!("/{number}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_unread_body_costs_nothing() {
    let server = Server::new();
    let mut client = server.connect(service_fn(ignore));
    for _ in 0..3 {
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
            .await;
        assert!(!client.response().await.closes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_unread_body_costs_the_connection() {
    let server = Server::new();
    // A future may hold on to the body until it is dropped.
    let holding = service_fn(|request: Request<RequestBody>| {
        std::future::poll_fn(move |_| {
            let text = request.method().to_string();
            Poll::Ready(Ok::<_, Infallible>(Response::new(text)))
        })
    });
    for mut client in [server.connect(service_fn(ignore)), server.connect(holding)] {
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n12345")
            .await;
        assert!(client.response().await.closes());
        client.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn continue_is_sent_when_the_body_is_wanted() {
    let request = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(request).await;
    assert_eq!(client.head().await.expect("a head").status, 100);
    client.send("12345").await;
    assert_eq!(client.response().await.text(), "POST / a 12345");

    let mut client = server.connect(service_fn(ignore));
    client.send(request).await;
    assert_eq!(client.head().await.expect("a head").status, 200);
}

#[tokio::test(start_paused = true)]
async fn head_and_bodiless_statuses() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |request: Request<RequestBody>| {
        let status: u16 = request.uri().path()[1..].parse().expect("a status");
        let response = Response::builder().status(status).body("hello".to_owned());
        Ok::<_, Infallible>(response.expect("valid"))
    }));
    client.send("HEAD /200 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await.expect("a head");
    assert_eq!((head.status, head.field("content-length")), (200, "5"));
    for status in [204, 304] {
        client
            .send(format!("GET /{status} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert_eq!(client.head().await.expect("a head").status, status);
    }
    client.send("GET /200 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "hello");
}

/// What RFC 9110 section 15.2 calls interim is no response.
#[tokio::test(start_paused = true)]
async fn an_interim_response_is_an_error_of_the_service() {
    for status in [100, 101, 103] {
        let server = Server::new();
        let mut client = server.connect(service_fn(move |_: Request<RequestBody>| async move {
            let response = Response::builder().status(status).body(String::new());
            Ok::<_, Infallible>(response.expect("valid"))
        }));
        client.send(GET).await;
        let response = client.head().await.expect("a head");
        assert_eq!(response.status, 500, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_facts_of_the_connection_come_with_every_request() {
    let service = service_fn(async |request: Request<RequestBody>| {
        let facts = request.extensions().get::<ConnectInfo>().expect("facts");
        let text = format!(
            "{:?} {:?} {:?}",
            facts.peer(),
            facts.local(),
            facts.unix_path()
        );
        Ok::<_, Infallible>(Response::new(text))
    });
    let server = Server::new();
    let local: SocketAddr = "127.0.0.1:8000".parse().expect("an address");
    let peer: SocketAddr = "127.0.0.1:9000".parse().expect("an address");
    for (facts, expected) in [
        (
            ConnectInfo::tcp(local, peer),
            "Some(127.0.0.1:9000) Some(127.0.0.1:8000) None",
        ),
        (
            ConnectInfo::unix(Some("/run/a".into())),
            "None None Some(\"/run/a\")",
        ),
    ] {
        let (client, io) = tokio::io::duplex(4096);
        let served = tokio::spawn(serve(io, facts, service, server.shared.clone()));
        let mut client = Client::new(client, served);
        for _ in 0..2 {
            client.send(GET).await;
            assert_eq!(client.response().await.text(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_axum_router_is_a_service() {
    use axum::{Extension, Router, extract::DefaultBodyLimit, routing::post};

    let router = Router::new()
        .route(
            "/",
            post(
                async |Extension(facts): Extension<ConnectInfo>, body: String| {
                    assert!(facts.peer().is_none());
                    body
                },
            ),
        )
        .layer(DefaultBodyLimit::max(10));
    let server = Server::new();
    let mut client = server.connect(router);
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
        .await;
    assert_eq!(client.response().await.text(), "12345");
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 500000\r\n\r\n123456789012345")
        .await;
    assert_eq!(client.response().await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn the_load_counts_connections_and_requests() {
    let server = Server::new();
    let load = server.load.clone();
    let counts = move || (load.connections() - OTHERS, load.requests(), load.busy());
    let (go, wait) = watch::channel(false);
    let service = service_fn(move |_: Request<RequestBody>| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await?;
            Ok::<_, BoxError>(Response::new("done".to_owned()))
        }
    });
    assert_eq!(counts(), (0, 0, 0));
    let mut client = server.connect(service);
    tokio::task::yield_now().await;
    assert_eq!(counts(), (1, 0, 1), "a connection without a request");
    client.send(GET).await;
    while counts().1 == 0 {
        bounded(tokio::time::sleep(Duration::from_millis(1))).await;
    }
    assert_eq!(counts(), (1, 1, 1), "a request");
    go.send_replace(true);
    client.response().await;
    assert_eq!(counts(), (1, 0, 0), "an idle connection");
    client.ended().await;
    assert_eq!(counts(), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_surplus_of_connections_closes_with_the_next_responses() {
    let server = Server::new();
    server.load.shed(2);
    for (request, closes, surplus) in [
        (
            "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
            false,
            true,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: Foo, Close\r\n\r\n",
            true,
            true,
        ),
        (GET, true, true),
        (GET, true, false),
        (GET, false, false),
    ] {
        let mut client = server.connect(echo());
        client.send(request).await;
        assert_eq!(client.response().await.closes(), closes, "{request}");
        assert_eq!(server.load.has_surplus(), surplus, "{request}");
    }
}

#[tokio::test]
async fn a_connection_that_is_shed_reads_on_for_a_while() {
    let server = Server::new();
    server.load.shed(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let io = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (io, accepted) = tokio::join!(io, listener.accept());
    let (connection, shared) = (ConnectInfo::unix(None), server.shared.clone());
    let served = tokio::spawn(serve(accepted.unwrap().0, connection, echo(), shared));
    let mut client = Client::new(io.unwrap(), served);
    client.send(GET).await;
    // It has not read the response, and sends the next request.
    while server.load.total() == 0 {
        tokio::task::yield_now().await;
    }
    client.send(GET).await;
    assert!(client.response().await.closes(), "and is not reset");
    client.ended().await;
}

/// Keeps how much room a read has had.
struct Measured {
    io: DuplexStream,
    room: Arc<AtomicUsize>,
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.room.store(buf.remaining(), Relaxed);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Measured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_been_idle_keeps_no_buffer_and_serves_on() {
    let server = Server::new();
    let (client, io) = tokio::io::duplex(64 << 10);
    let room = Arc::new(AtomicUsize::new(0));
    let io = Measured {
        io,
        room: room.clone(),
    };
    let connection = ConnectInfo::unix(None);
    let served = tokio::spawn(serve(io, connection, echo(), server.shared.clone()));
    let mut client = Client::new(client, served);
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nlong: {}\r\n\r\n",
        "x".repeat(5000)
    );
    for request in [GET, &long, &format!("\r\n{GET}"), &format!("{GET}{GET}")] {
        client.send(request).await;
        for _ in 0..request.matches(GET).count().max(1) {
            assert_eq!(client.response().await.text(), "GET / a ", "{request}");
        }
        assert!(room.load(Relaxed) > 4096, "hyper reads");
        bounded(tokio::time::sleep(Duration::from_secs(2))).await;
        assert!(room.load(Relaxed) <= 1024, "{request}");
    }
    for byte in GET.chars() {
        client.send(byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.status, 200);
    bounded(tokio::time::sleep(Duration::from_secs(2))).await;
    drop(client.io);
    bounded(client.served).await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn half_a_head_after_a_long_pause_gets_408() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    bounded(tokio::time::sleep(Duration::from_secs(30))).await;
    let since = Instant::now();
    client.send("GET / HT").await;
    assert_eq!(client.response().await.status, 408);
    assert_seconds(since, 10);
    client.ended().await;
}

/// A client to which the response promised that the connection stays open would wait for the end of the body.
#[tokio::test(start_paused = true)]
async fn a_body_without_a_length_is_the_last_of_http_1_0() {
    let stream = service_fn(async |_: Request<RequestBody>| {
        let pieces = ["a", "b"].map(|piece| Ok::<_, BoxError>(Bytes::from(piece)));
        let pieces = pieces.map(|piece| piece.map(http_body::Frame::data));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        let mut response = Response::new(body);
        // Even if the service sets the field.
        let goes_on = http::HeaderValue::from_static("keep-alive");
        response.headers_mut().insert("connection", goes_on);
        Ok::<_, BoxError>(response)
    });
    let server = Server::new();
    for asks in ["", "connection: keep-alive\r\n"] {
        let mut client = server.connect(stream);
        client.send(format!("GET / HTTP/1.0\r\n{asks}\r\n")).await;
        let head = client.head().await.expect("a head").head;
        assert_eq!(head.matches("connection: ").count(), 1, "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert_eq!(client.rest().await, b"ab");
    }
    // With a length it stays open.
    let mut client = server.connect(echo());
    for _ in 0..2 {
        client
            .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .await;
        let response = client.response().await;
        assert_eq!(response.field("connection"), "keep-alive");
    }
}
