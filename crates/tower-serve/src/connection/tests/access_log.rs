//! What is logged of a request, and what of one that goes wrong.

use std::{
    fs,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::stream;
use http::HeaderValue;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;
use tempfile::TempDir;

use super::{leaving::Reset, *};
use crate::{AccessLog, AccessLogFormat};

/// A server, and its log.
pub(super) struct Logged {
    pub(super) server: Server,
    path: PathBuf,
    _directory: TempDir,
}

impl Logged {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Http)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let setting = AccessLog::new(&path).format(AccessLogFormat::Json);
        let log = Log::start(&setting, 0, false).unwrap();
        Self {
            server: Server::with_log(change, Some(log)),
            path,
            _directory: directory,
        }
    }

    /// What was logged when all connections have ended.
    pub(super) fn lines(self) -> Vec<Value> {
        assert_eq!(Arc::strong_count(&self.server.shared), 1, "one still runs");
        drop(self.server);
        let lines = fs::read_to_string(self.path).unwrap();
        let parsed = lines.lines().map(serde_json::from_str);
        parsed.collect::<Result<_, _>>().unwrap()
    }

    fn line(self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }
}

/// Target, status, bytes, and whether it was aborted.
pub(super) fn facts(line: &Value) -> (Option<&str>, u64, u64, bool) {
    (
        line["target"].as_str(),
        line["status"].as_u64().unwrap(),
        line["bytes"].as_u64().unwrap(),
        line["aborted"].as_bool().unwrap(),
    )
}

/// Leaves, and waits until the server has seen it.
async fn leave(client: Client<DuplexStream>) {
    drop(client.io);
    bounded(client.served).await.unwrap();
}

/// A chunk that is known to be the last, when its length is not known before.
struct Last(Option<Bytes>);

impl http_body::Body for Last {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// `/none` has no body, the others five bytes.
async fn all_kinds(request: Request<RequestBody>) -> Result<Response<BoxBody>, Infallible> {
    let mut response = match request.uri().path() {
        "/stream" => {
            let chunks =
                ["ab", "cde"].map(|text| Ok::<_, BoxError>(Frame::data(Bytes::from(text))));
            Response::new(StreamBody::new(stream::iter(chunks)).boxed())
        }
        "/trailers" => {
            let trailers = Frame::trailers(http::HeaderMap::new());
            let frames = [Frame::data(Bytes::from("12345")), trailers];
            let frames = frames.map(Ok::<_, BoxError>);
            Response::new(StreamBody::new(stream::iter(frames)).boxed())
        }
        "/last" => Response::new(Last(Some(Bytes::from("12345"))).boxed()),
        _ => Response::new(full("12345")),
    };
    if request.uri().path() == "/none" {
        *response.status_mut() = http::StatusCode::NO_CONTENT;
    }
    Ok(response)
}

type BoxBody = http_body_util::combinators::BoxBody<Bytes, BoxError>;

fn full(bytes: impl Into<Bytes>) -> BoxBody {
    Full::new(bytes.into()).map_err(Into::into).boxed()
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_response() {
    let logged = Logged::new();
    let mut client = logged.server.connect(service_fn(all_kinds));
    for path in ["/full", "/stream", "/last", "/trailers"] {
        client
            .send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert_eq!(client.response().await.body.len(), 5);
    }
    for line in ["HEAD /full", "HEAD /stream", "GET /none"] {
        client
            .send(format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        client.head().await.unwrap();
    }
    leave(client).await;
    let lines = logged.lines();
    assert_eq!(
        lines.iter().map(facts).collect::<Vec<_>>(),
        [
            (Some("/full"), 200, 5, false),
            (Some("/stream"), 200, 5, false),
            (Some("/last"), 200, 5, false),
            (Some("/trailers"), 200, 5, false),
            (Some("/full"), 200, 0, false),
            (Some("/stream"), 200, 0, false),
            (Some("/none"), 204, 0, false),
        ]
    );
    assert_eq!(lines[0]["remote"], "unix");
    assert_eq!(lines[4]["method"], "HEAD");
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_have_a_line_each() {
    let logged = Logged::new();
    let mut client = logged.server.connect(service_fn(all_kinds));
    let requests: String = (0..20)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .collect();
    client.send(format!("{requests}nonsense\r\n\r\n")).await;
    for _ in 0..20 {
        assert_eq!(client.response().await.status, 200);
    }
    assert_eq!(client.response().await.status, 400);
    client.ended().await;
    let lines = logged.lines();
    for (number, line) in lines[..20].iter().enumerate() {
        let target = format!("/{number}");
        assert_eq!(facts(line), (Some(&*target), 200, 5, false));
    }
    assert_eq!(facts(&lines[20]), (None, 400, 42, false));
    assert_eq!(lines.len(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_line_is_written_when_the_response_is_not_before() {
    let logged = Logged::new();
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let service = service_fn(move |_| {
        let response = Response::new(full(body.clone()));
        async { Ok::<_, Infallible>(response) }
    });
    // hyper gets all of the body at once, the client only a part of it.
    let mut client = logged.server.connect_with(1000, service);
    client.send("GET /cut HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.head().await.unwrap();
    while client.read.len() < 50_000 {
        assert_ne!(client.fill().await, 0);
    }
    let read = client.read.len() as u64;
    leave(client).await;
    let line = logged.line();
    let (target, status, bytes, aborted) = facts(&line);
    assert_eq!((target, status, aborted), (Some("/cut"), 200, true));
    assert!((read..read + 2000).contains(&bytes), "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing() {
    let logged = Logged::new();
    let service =
        service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("x".repeat(5000)))) });
    let mut client = logged.server.connect_with(1000, service);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    bounded(client.served).await.unwrap();
    let line = logged.line();
    let (target, status, bytes, aborted) = facts(&line);
    assert_eq!((target, status, aborted), (Some("/"), 200, true));
    assert_eq!(bytes, 1000, "what was written, the head among it");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_respond_in_time() {
    let logged = Logged::new();
    let service = service_fn(|_| std::future::pending::<Result<Response<String>, Infallible>>());
    let mut client = logged.server.connect(service);
    client.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let length = client.response().await.body.len() as u64;
    client.ended().await;
    assert_eq!(facts(&logged.line()), (Some("/wait"), 504, length, false));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_response() {
    let logged = Logged::new();
    let service = service_fn(|_| std::future::pending::<Result<Response<String>, Infallible>>());
    let (client, io) = tokio::io::duplex(1000);
    let shared = logged.server.shared.clone();
    let served = serve(Reset(io), ConnectInfo::unix(None), service, shared);
    let mut client = Client::new(client, tokio::spawn(served));
    client.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    leave(client).await;
    assert_eq!(facts(&logged.line()), (Some("/wait"), 499, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_gone_when_its_response_is_written() {
    let logged = Logged::new();
    let (mut client, requests) = tokio::io::duplex(1000);
    let (_, responses) = tokio::io::duplex(1000);
    client
        .write_all(b"GET /full HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let io = tokio::io::join(requests, responses);
    let (connection, shared) = (ConnectInfo::unix(None), logged.server.shared.clone());
    bounded(serve(io, connection, service_fn(all_kinds), shared)).await;
    assert_eq!(facts(&logged.line()), (Some("/full"), 200, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_an_endless_stream() {
    let logged = Logged::new();
    let service = service_fn(|_| async {
        let chunks = stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from("chunk"))));
        Ok::<_, Infallible>(Response::new(StreamBody::new(chunks)))
    });
    let mut client = logged.server.connect_with(1000, service);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.head().await.unwrap();
    leave(client).await;
    let line = logged.line();
    let (target, status, bytes, aborted) = facts(&line);
    assert_eq!((target, status, aborted), (Some("/"), 200, true));
    assert!(bytes < 5000, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off() {
    for length in [None, Some(10)] {
        let logged = Logged::new();
        let service = service_fn(move |_| async move {
            let failure = length.is_none().then(|| Err("no luck".into()));
            let chunks = [Ok::<_, BoxError>(Frame::data(Bytes::from("12345")))];
            let chunks = chunks.into_iter().chain(failure);
            let mut response = Response::new(StreamBody::new(stream::iter(chunks)));
            if let Some(length) = length {
                let length = HeaderValue::from(length);
                response.headers_mut().insert("content-length", length);
            }
            Ok::<_, Infallible>(response)
        });
        let mut client = logged.server.connect(service);
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        bounded(&mut client.served).await.unwrap();
        let line = logged.line();
        let (_, status, _, aborted) = facts(&line);
        assert_eq!((status, aborted), (200, true), "{length:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_was_announced_is_not_counted() {
    let logged = Logged::new();
    let service = service_fn(|_| async {
        let chunks = [Ok::<_, BoxError>(Frame::data(Bytes::from("12345")))];
        let mut response = Response::new(StreamBody::new(stream::iter(chunks)));
        let length = HeaderValue::from_static("3");
        response.headers_mut().insert("content-length", length);
        Ok::<_, Infallible>(response)
    });
    let mut client = logged.server.connect(service);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.response().await.body, b"123");
    leave(client).await;
    assert_eq!(facts(&logged.line()), (Some("/"), 200, 3, false));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_does_not_see() {
    // A sentence in the page makes the difference in length.
    let logged = Logged::new();
    let mut client = logged.server.connect(echo());
    client.send("GET /no-host HTTP/1.1\r\n\r\n").await;
    let response = client.response().await;
    client.ended().await;
    let bytes = response.body.len() as u64;
    assert_eq!(facts(&logged.line()), (Some("/no-host"), 400, bytes, false));

    let logged = Logged::new();
    let mut client = logged.server.connect(echo());
    client.send("GET /slow HTTP/1.1\r\n").await;
    let response = client.response().await;
    client.ended().await;
    let bytes = response.body.len() as u64;
    assert_eq!(facts(&logged.line()), (Some("/slow"), 408, bytes, false));
}

#[tokio::test(start_paused = true)]
async fn what_hyper_refuses_has_the_status_that_the_client_sees() {
    let long = "x".repeat(1 << 20);
    let too_long = format!("/{}", &long[..70_000]);
    for (request, status, target) in [
        ("nonsense\r\n\r\n".to_owned(), 400, None),
        ("\x16\x03\x01 binary\r\n\r\n".into(), 400, None),
        ("GET / HTTP/1.1\r\nhost a\r\n\r\n".into(), 400, Some("/")),
        ("GET / HTTP/3.0\r\nhost: a\r\n\r\n".into(), 400, Some("/")),
        (
            "GET /a<b HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            400,
            Some("/a<b"),
        ),
        (
            "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n".into(),
            400,
            Some("/b"),
        ),
        (
            format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n"),
            431,
            Some("/"),
        ),
        (
            format!("GET {too_long} HTTP/1.1\r\nhost: a\r\n\r\n"),
            414,
            Some(&too_long[..8192]),
        ),
    ] {
        let logged = Logged::with(|http| http.max_header_size = 256 << 10);
        let mut client = logged.server.connect_with(2 << 20, echo());
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (status, true));
        assert!(response.text().starts_with(&status.to_string()));
        leave(client).await;
        let line = logged.line();
        let bytes = response.body.len() as u64;
        let (logged, rest) = (line["target"].as_str(), facts(&line));
        assert_eq!((rest.1, rest.2, rest.3), (status.into(), bytes, false));
        let logged = logged.map(|logged| logged.trim_end_matches("..."));
        assert_eq!(logged, target, "{}", &request[..request.len().min(60)]);
    }

    // As much is known of one that is refused at HEAD, whose response has no body.
    let logged = Logged::new();
    let mut client = logged.server.connect(echo());
    client.send("HEAD /a`b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 400);
    assert!(client.rest().await.is_empty());
    leave(client).await;
    assert_eq!(logged.line()["method"], "HEAD");

    // This one gets no response.
    let logged = Logged::with(|http| http.versions = HttpVersions::Http1);
    let mut client = logged.server.connect(echo());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.ended().await;
    assert!(logged.lines().is_empty());
}

/// Its response is written without hyper.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_is_refused() {
    let logged = Logged::new();
    let mut client = logged.server.connect_with(16, echo());
    client.send("GET /slow HTTP/").await;
    client.fill().await;
    leave(client).await;
    assert_eq!(facts(&logged.line()), (Some("/slow"), 408, 16, true));
}

#[tokio::test(start_paused = true)]
async fn no_line_without_a_request() {
    let logged = Logged::new();
    leave(logged.server.connect(echo())).await;
    let mut client = logged.server.connect(echo());
    client.send("GET / HT").await;
    leave(client).await;
    assert!(logged.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_end_of_the_worker_cuts_is_logged() {
    let logged = Logged::new();
    let service = service_fn(|_| std::future::pending::<Result<Response<String>, Infallible>>());
    let mut waiting = logged.server.connect(service);
    waiting.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let body = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("x".repeat(5000)))) });
    let mut unread = logged.server.connect_with(1000, body);
    unread.send("GET /unread HTTP/1.1\r\nhost: a\r\n\r\n").await;
    unread.head().await.unwrap();
    for client in [waiting, unread] {
        // As when the runtime is shut down.
        client.served.abort();
        assert!(bounded(client.served).await.unwrap_err().is_cancelled());
    }
    let lines = logged.lines();
    assert_eq!(facts(&lines[0]), (Some("/wait"), 499, 0, true));
    assert_eq!(lines[1]["target"], "/unread");
    assert_eq!(lines[1]["aborted"], true);
}
