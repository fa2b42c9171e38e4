//! Responses: as they are sent, and those that go wrong.

use futures_util::stream;
use http::{HeaderValue, header};
use http_body::Frame;
use http_body_util::{Empty, StreamBody, combinators::BoxBody};

use super::*;

type Reply = Response<BoxBody<Bytes, BoxError>>;

/// Responds by the path.
fn by_path(
    respond: fn(&str) -> Reply,
) -> impl Service<Request<RequestBody>, Response = Reply, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request<RequestBody>| {
        let response = respond(request.uri().path());
        async move { Ok::<_, BoxError>(response) }
    })
}

/// A body of these pieces.
fn pieces(pieces: Vec<Result<&'static str, &'static str>>) -> BoxBody<Bytes, BoxError> {
    let frames = pieces.into_iter().map(|piece| match piece {
        Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
        Err(text) => Err(BoxError::from(text)),
    });
    BodyExt::boxed(SyncBody(StreamBody::new(stream::iter(
        frames.collect::<Vec<_>>(),
    ))))
}

/// Without an own state between polls that other threads could see.
struct SyncBody<B>(B);

impl<B: http_body::Body + Unpin> http_body::Body for SyncBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_connection_are_not_sent() {
    let server = Server::new();
    let service = by_path(|_| {
        let mut response = Response::new(pieces(vec![Ok("text")]));
        for (name, value) in [
            ("connection", "keep-alive, x-own"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ] {
            let name = header::HeaderName::from_static(name);
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    });
    let client = Streams::connect(&server, service).await;
    let response = client.get("/").await.unwrap();
    assert_eq!(response.text(), "text");
    let mut names: Vec<_> = response
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["date", "x-kept"]);
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn responses_without_a_body() {
    let server = Server::new();
    let service = by_path(|path| {
        let status: u16 = path[1..].parse().unwrap();
        let body = Full::new(Bytes::from_static(b"12345")).map_err(|never| match never {});
        let mut response = Response::new(body.boxed());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    });
    let client = Streams::connect(&server, service).await;
    let head = Request::head("http://a/200").body(()).unwrap();
    let head = client.send(head, None).await.unwrap();
    assert_eq!(
        (head.text(), &head.headers["content-length"]),
        ("", &HeaderValue::from(5))
    );
    for status in [204, 304] {
        let response = client.get(&format!("/{status}")).await.unwrap();
        assert_eq!((response.status, response.text()), (status, ""));
        assert!(!response.headers.contains_key("content-length"));
    }
    // A service cannot send an interim response.
    for status in [100, 101, 103] {
        let response = client.get(&format!("/{status}")).await.unwrap();
        assert_eq!(response.status, 500, "{status}");
    }
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_the_head_is_500_and_after_it_a_reset() {
    let server = Server::new();
    let service = service_fn(
        async |request: Request<RequestBody>| match request.uri().path() {
            "/error" => Err(BoxError::from("the service fails")),
            "/panic" => panic!("the service panics"),
            "/body" => Ok(Response::new(pieces(vec![Ok("half"), Err("no more")]))),
            "/short" => {
                let mut response = Response::new(pieces(vec![Ok("half")]));
                let headers = response.headers_mut();
                headers.insert("content-length", HeaderValue::from(5));
                Ok(response)
            }
            "/body-panic" => {
                let frames = stream::unfold(0, async |count| match count {
                    0 => Some((Ok(Frame::data(Bytes::from_static(b"half"))), 1)),
                    _ => panic!("the body panics"),
                });
                let frames: std::pin::Pin<
                    Box<
                        dyn futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>>
                            + Send
                            + Sync,
                    >,
                > = Box::pin(frames);
                Ok(Response::new(BodyExt::boxed(StreamBody::new(frames))))
            }
            "/long" => {
                let mut response = Response::new(pieces(vec![Ok("12"), Ok("34")]));
                let headers = response.headers_mut();
                headers.insert("content-length", HeaderValue::from(3));
                Ok(response)
            }
            _ => Ok(Response::new(
                Empty::new().map_err(|never| match never {}).boxed(),
            )),
        },
    );
    let client = Streams::connect(&server, service).await;
    for path in ["/error", "/panic"] {
        let response = client.get(path).await.unwrap();
        assert_eq!(response.status, 500, "{path}");
        assert!(response.text().contains("failed to handle"), "{path}");
    }
    for path in ["/body", "/short", "/body-panic"] {
        let response = client.get(path).await.unwrap();
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
    }
    assert_eq!(client.get("/long").await.unwrap().text(), "123");
    let empty = client.get("/").await.unwrap();
    assert_eq!((empty.status, empty.text()), (200, ""));
    assert_eq!(server.load.requests(), 0);
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_response_comes_whole_through_any_window() {
    let server = Server::new();
    for window in [1, 100, 65_535, 1 << 20] {
        let service = service_fn(async |_: Request<RequestBody>| {
            let all: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(all))))
        });
        let size = if window == 1 { 64 } else { 64 << 10 };
        let mut settings = client::Builder::new();
        settings.initial_window_size(window);
        let client = Streams::over(server.connect_with(size, service), &settings).await;
        let response = client.get("/").await.unwrap();
        let body = response.body.unwrap();
        assert_eq!(body.len(), 200_000);
        assert!(body.iter().enumerate().all(|(at, byte)| *byte == at as u8));
        client.left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_are_sent() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from_static(b"text"));
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        Ok::<_, Infallible>(Response::new(body))
    });
    let client = Streams::connect(&server, service).await;
    let mut requests = client.requests.clone().ready().await.unwrap();
    let request = Request::get("http://a/").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let mut body = bounded(response).await.unwrap().into_body();
    assert_eq!(bounded(body.data()).await.unwrap().unwrap(), "text");
    assert!(bounded(body.data()).await.is_none());
    let trailers = bounded(body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    drop((body, requests));
    client.left().await;
}
