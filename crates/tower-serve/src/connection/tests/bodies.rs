//! Bodies that break, in both directions.

use std::{io, task::Poll};

use http_body::{Body as _, Frame};
use http_body_util::StreamBody;

use super::*;

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

/// Gives a frame of a response body, or its end.
type Next = fn() -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;

/// What the service got of a body, and how it ended.
async fn read(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
    let mut body = request.into_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => text += str::from_utf8(&data)?,
                Err(frame) => text += &format!(" {:?}", frame.into_trailers().expect("trailers")),
            },
            Err(error) => {
                let error = error.downcast::<io::Error>()?;
                text += &format!(" {:?}: {error}", error.kind());
                assert!(body.frame().await.is_none(), "an error is the end");
                return Ok(Response::new(text));
            }
        }
    }
    assert!(body.is_end_stream());
    text += " end";
    Ok(Response::new(text))
}

/// Sends a body; gives what the service says of it, and asserts that no other request is served after it
/// when it is broken or has trailers, regardless of how the service responds.
async fn read_of(body: &[u8]) -> String {
    let server = Server::new();
    let mut client = server.connect(service_fn(read));
    client.send(CHUNKED).await;
    client.send(body).await;
    let response = client.response().await;
    let text = response.text().to_owned();
    if text.ends_with(" end") && !text.contains('{') {
        assert!(!response.closes(), "{text}");
    } else {
        assert!(response.closes(), "{text}");
        client.ended().await;
    }
    text
}

#[tokio::test(start_paused = true)]
async fn whole_chunked_bodies() {
    for body in [
        "5\r\nhello\r\n0\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0;b\r\n\r\n",
        "005\r\nhello\r\n000\r\n\r\n",
    ] {
        assert_eq!(read_of(body.as_bytes()).await, "hello end", "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_chunked_bodies() {
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(17 << 10));
    let long_trailer = format!("0\r\nx: {}\r\n\r\n", "a".repeat(65 << 10));
    let many_trailers = format!("0\r\n{}\r\n", "x: a\r\n".repeat(101));
    for body in [
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello world\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\rx",
        &long_extension,
        &long_trailer,
        &many_trailers,
    ] {
        let text = read_of(body.as_bytes()).await;
        assert!(
            text.contains(" InvalidData: the request body is malformed: "),
            "{body:?}: {text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_body_that_fails_the_service_gets_400() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send([CHUNKED, "nonsense\r\n"].concat()).await;
    let response = client.response().await;
    assert_eq!(response.status, 400);
    assert!(response.closes());
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_off_is_an_error() {
    for request in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nA\r\nhello",
    ] {
        let server = Server::new();
        let mut client = server.connect(service_fn(read));
        client.send(request).await;
        client.io.shutdown().await.expect("half closed");
        let response = client.response().await;
        assert!(
            response.text().starts_with("hello UnexpectedEof: "),
            "{request:?}: {}",
            response.text()
        );
        client.ended().await;

        let mut client = server.connect(echo());
        client.send(request).await;
        client.io.shutdown().await.expect("half closed");
        assert_eq!(client.response().await.status, 400, "{request:?}");
        client.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_says_so() {
    let server = Server::new();
    let mut client = server.connect(service_fn(read));
    client.send([CHUNKED, "5\r\nhello"].concat()).await;
    let response = client.response().await;
    assert_eq!(
        response.text(),
        "hello TimedOut: the request body timed out: the client sent nothing of it for 30s"
    );
    assert!(response.closes());
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_request() {
    for bytes in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", CHUNKED] {
        let (dropped, mut noticed) = tokio::sync::mpsc::channel::<()>(1);
        let server = Server::new();
        let mut client = server.connect(service_fn(move |request: Request<RequestBody>| {
            let dropped = dropped.clone();
            async move {
                let _dropped = dropped;
                let _ = request.into_body().collect().await?;
                std::future::pending::<()>().await;
                Ok::<_, BoxError>(Response::new(String::new()))
            }
        }));
        client.send(bytes).await;
        tokio::task::yield_now().await;
        // Its sending side is enough.
        client.io.shutdown().await.expect("half closed");
        bounded(client.served).await.expect("no panic");
        assert!(bounded(noticed.recv()).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_arrive_without_what_is_forbidden_there() {
    let body = "5\r\nhello\r\n0\r\ndigest: x\r\nhost: b\r\ncontent-length: 5\r\n\
                transfer-encoding: chunked\r\nauthorization: y\r\nx-forwarded-for: z\r\n\r\n";
    assert_eq!(
        read_of(body.as_bytes()).await,
        "hello {\"digest\": \"x\"} end"
    );
    // All of these are removed; the connection closes all the same.
    let server = Server::new();
    let mut client = server.connect(service_fn(read));
    client
        .send([CHUNKED, "0\r\nhost: b\r\n\r\n"].concat())
        .await;
    let response = client.response().await;
    assert_eq!(response.text(), " end");
    assert!(response.closes());
    client.ended().await;
}

/// hyper takes the request after a bare line feed for trailers, and one after those for a request.
#[tokio::test(start_paused = true)]
async fn nothing_is_served_after_trailers() {
    const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for trailers in ["x: y\r\n\r\n", "x: y\n\n"] {
        let request = [CHUNKED, "0\r\n", trailers, NEXT, NEXT, NEXT].concat();

        // Read to the end.
        let server = Server::new();
        let count = Count::default();
        let mut client = server.connect(counted(&count));
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (200, true));
        client.ended().await;
        assert_eq!(count.get(), 1, "{trailers:?}");

        // Not read at all.
        let count = Count::default();
        let service = {
            let count = count.clone();
            service_fn(move |request| {
                count.add();
                ignore(request)
            })
        };
        let mut client = server.connect(service);
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (200, true));
        client.ended().await;
        assert_eq!(count.get(), 1, "{trailers:?}");

        // Read only after the response is out, with nothing behind it and with much.
        for requests in [&request[..request.len() - 3 * NEXT.len()], &request] {
            let count = Count::default();
            let (go, wait) = watch::channel(false);
            let service = {
                let count = count.clone();
                service_fn(move |request: Request<RequestBody>| {
                    count.add();
                    let mut wait = wait.clone();
                    tokio::spawn(async move {
                        wait.wait_for(|go| *go).await.expect("sent");
                        let _ = request.into_body().collect().await;
                    });
                    async { Ok::<_, Infallible>(Response::new(String::new())) }
                })
            };
            let mut client = server.connect(service);
            client.send(requests).await;
            assert_eq!(client.response().await.status, 200);
            let start = Instant::now();
            go.send_replace(true);
            if let Some(response) = client.next_response().await {
                assert_eq!((response.status, response.closes()), (400, true));
            }
            assert!(trailers.ends_with("\n\n") || start.elapsed().is_zero());
            client.ended().await;
            assert_eq!(count.get(), 1, "{trailers:?}");
        }
    }
}

/// A response that fails after its first chunk.
fn failing(
    next: Next,
) -> impl Service<
    Request<RequestBody>,
    Response = Response<
        StreamBody<
            impl futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>> + Send + 'static,
        >,
    >,
    Error = BoxError,
    Future: Send,
> + Clone
+ Send
+ 'static {
    service_fn(move |_: Request<RequestBody>| async move {
        let mut first = true;
        let frames = futures_util::stream::poll_fn(move |_| {
            if std::mem::take(&mut first) {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"hello")))))
            } else {
                next()
            }
        });
        Ok(Response::new(StreamBody::new(frames)))
    })
}

#[tokio::test(start_paused = true)]
async fn a_response_that_fails_never_ends_cleanly() {
    for end in [
        || Poll::Ready(Some(Err("out of ideas".into()))),
        || panic!("a panic for a test"),
    ] as [Next; 2]
    {
        let server = Server::new();
        let mut client = server.connect(failing(end));
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(client.next_response().await.is_none());
        bounded(client.served).await.expect("no panic");
        assert_eq!(server.load.requests(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_shorter_than_it_says_never_ends_cleanly() {
    let server = Server::new();
    let mut client =
        server.connect(service_fn(async |_: Request<RequestBody>| {
            let response = Response::builder().header("content-length", 10);
            Ok::<_, BoxError>(response.body(StreamBody::new(futures_util::stream::iter([
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"hello"))),
            ])))?)
        }));
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.next_response().await.is_none());
    bounded(client.served).await.expect("no panic");
}

/// Who stops in the middle of a response.
#[derive(PartialEq)]
enum Stop {
    Never,
    Worker,
}

/// A response to a client of HTTP/1.0 over a real socket: what the client reads, and the error at its end.
async fn old_client(next: Next, stop: Stop) -> (String, io::Result<usize>) {
    client_of("HTTP/1.0", next, stop).await
}

async fn client_of(version: &str, next: Next, stop: Stop) -> (String, io::Result<usize>) {
    let server = Server::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut io = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let (accepted, peer) = listener.accept().await.expect("a client");
    let served = tokio::spawn(serve(
        accepted,
        ConnectInfo::tcp(address, peer),
        failing(next),
        server.shared.clone(),
    ));
    let request = format!("GET / {version}\r\nhost: a\r\n\r\n");
    bounded(io.write_all(request.as_bytes()))
        .await
        .expect("sent");
    let mut response = String::new();
    if stop != Stop::Never {
        // What it got so far is all that the server has to give.
        while !response.ends_with("hello") {
            let byte = bounded(io.read_u8()).await.expect("a byte");
            response.push(byte.into());
        }
    }
    match stop {
        Stop::Never => bounded(served).await.expect("no panic"),
        Stop::Worker => served.abort(),
    }
    let read = bounded(io.read_to_string(&mut response)).await;
    (response, read)
}

/// Only by a reset does a client of HTTP/1.0 see that a response without a length is not whole.
#[tokio::test]
async fn a_broken_response_to_http_1_0_is_reset() {
    let (_, read) = old_client(
        || Poll::Ready(Some(Err("out of ideas".into()))),
        Stop::Never,
    )
    .await;
    assert!(read.is_err());
    let (_, read) = old_client(|| panic!("a panic for a test"), Stop::Never).await;
    assert!(read.is_err());
    let (response, read) = old_client(|| Poll::Ready(None), Stop::Never).await;
    assert!(read.is_ok());
    assert!(response.ends_with("hello"), "{response}");
}

/// Others see it by the framing, and keep what was sent before: a client that has nothing at all might send
/// its request again.
#[tokio::test]
async fn a_broken_response_to_http_1_1_arrives_as_far_as_it_went() {
    let error = || Poll::Ready(Some(Err("out of ideas".into())));
    let (response, read) = client_of("HTTP/1.1", error, Stop::Never).await;
    assert!(read.is_ok(), "{read:?}");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n5\r\nhello\r\n"), "{response}");

    let (response, read) =
        client_of("HTTP/1.1", || panic!("a panic for a test"), Stop::Never).await;
    assert!(read.is_ok(), "{read:?}");
    assert!(!response.ends_with("0\r\n\r\n"), "{response}");
}

/// A response that the worker has no more time for is reset, and one whose client is taken for gone.
#[tokio::test]
async fn a_response_that_is_dropped_is_reset() {
    let (_, read) = old_client(|| Poll::Pending, Stop::Worker).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_gets_500_sent_for_it() {
    let server = Server::new();
    let failing = service_fn(async |_: Request<RequestBody>| {
        Err::<Response<String>, BoxError>("a secret".into())
    });
    let panicking = service_fn(async |request: Request<RequestBody>| {
        assert_ne!(request.uri(), "/", "a panic for a test");
        Ok::<_, BoxError>(Response::new(String::new()))
    });
    let panicking_early = service_fn(|request: Request<RequestBody>| {
        assert_ne!(request.uri(), "/", "a panic for a test");
        std::future::ready(Ok::<_, BoxError>(Response::new(String::new())))
    });
    for mut client in [
        server.connect(failing),
        server.connect(panicking),
        server.connect(panicking_early),
    ] {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (500, true));
        assert_eq!(
            response.text(),
            "500 Internal Server Error\nThe server failed to handle the request.\n"
        );
        client.ended().await;
    }
    assert_eq!(server.load.requests(), 0);
}

/// hyper lets them through.
#[tokio::test(start_paused = true)]
async fn lines_before_chunks_that_the_grammar_does_not_have() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for line in ["5;", "5 ", "5;a\0", "5;bad[=x"] {
        for good in ["", "1\r\nx\r\n"] {
            let request = format!("{head}{good}{line}\r\nhello\r\n0\r\n\r\n");
            for cut in [0, 10, head.len(), request.len() - 12] {
                for before in ["", get] {
                    let server = Server::new();
                    let mut client = server.connect(echo());
                    if !before.is_empty() {
                        client.send(before).await;
                        assert_eq!(client.response().await.status, 200);
                    }
                    client.send(&request[..cut]).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    client.send(&request[cut..]).await;
                    let response = client.response().await;
                    assert_eq!(
                        (response.status, response.closes()),
                        (400, true),
                        "{request:?}"
                    );
                    client.ended().await;
                }
            }
        }
    }
    // Those of the grammar, and any content.
    let server = Server::new();
    let mut client = server.connect(echo());
    for _ in 0..2 {
        client
            .send([head, "5 ;a=\"\\\"\";b\r\n\n5;\r\n\r\n0\r\n\r\n"].concat())
            .await;
        assert_eq!(client.response().await.text(), "POST / a \n5;\r\n");
    }
}
