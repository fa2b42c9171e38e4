//! Clients that leave while their request is being served, and those that have only closed their sending side.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Body as _;
use tokio::{
    io::ReadBuf,
    net::{TcpListener, TcpStream, UnixStream},
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

/// Before any timer wakes the connection.
const SOON: Duration = Duration::from_secs(9);

#[derive(Debug, PartialEq)]
enum Event {
    Called,
    Read,
    Dropped,
}

/// Reports its end.
struct Waiting(Sender<Event>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.try_send(Event::Dropped);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Read {
    Not,
    /// Nor will it be.
    Never,
    Here,
    /// By another task, as threads do: the connection's own does not see the end of the body.
    Elsewhere,
}

/// A pipe that is reset when the client drops its end.
pub(super) struct Reset(pub(super) DuplexStream);

impl AsyncRead for Reset {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        Poll::Ready(if buf.filled().len() == before {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        })
    }
}

impl AsyncWrite for Reset {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Never responds.
fn never(
    read: Read,
) -> (
    impl Service<Request<RequestBody>, Response = Response<String>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static,
    Receiver<Event>,
) {
    let (events, happened) = channel(3);
    let service = service_fn(move |request: Request<RequestBody>| {
        let events = events.clone();
        async move {
            let waiting = Waiting(events.clone());
            events.try_send(Event::Called)?;
            let collect = async move {
                let collected = request.into_body().collect().await;
                drop(events.try_send(Event::Read));
                collected.map(drop)
            };
            match read {
                Read::Not => std::future::pending().await,
                Read::Never => drop(collect),
                Read::Here => collect.await?,
                Read::Elsewhere => drop(tokio::spawn(collect)),
            }
            std::future::pending::<()>().await;
            drop(waiting);
            Ok(Response::new(String::new()))
        }
    });
    (service, happened)
}

/// Until no task has anything to do.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Sends the parts one by one, and leaves when the service has what it wants.
async fn leaves<IO>(
    mut client: Client<IO>,
    parts: &[&str],
    read: Read,
    happened: &mut Receiver<Event>,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    for part in parts {
        client.send(part).await;
        settled().await;
    }
    assert_eq!(bounded(happened.recv()).await, Some(Event::Called));
    if matches!(read, Read::Here | Read::Elsewhere) {
        assert_eq!(bounded(happened.recv()).await, Some(Event::Read));
    }
    settled().await;
    assert!(happened.is_empty(), "it waits");
    let start = Instant::now();
    drop(client.io);
    assert_eq!(bounded(happened.recv()).await, Some(Event::Dropped));
    bounded(client.served).await.expect("no panic");
    assert!(start.elapsed() < SOON, "not when the service is late");
}

#[tokio::test(start_paused = true)]
async fn the_service_drops_the_request_of_a_client_that_leaves() {
    let whole = [POST, "12345"].concat();
    let chunks = [CHUNKED, "5\r\n12345\r\n0\r\n\r\n"].concat();
    for (parts, read) in [
        (&[GET][..], Read::Not),
        (&[GET], Read::Here),
        // In one piece with the head, which the service has not touched.
        (&[&whole], Read::Not),
        (&[&whole], Read::Here),
        (&[&whole], Read::Elsewhere),
        (&[&chunks], Read::Here),
        (&[&chunks], Read::Elsewhere),
        (&[&whole], Read::Never),
        // Later.
        (&[POST, "12345"], Read::Not),
        (&[POST, "12345"], Read::Here),
        (&[POST, "12345"], Read::Elsewhere),
        (&[POST, "123", "45"], Read::Elsewhere),
        (&[CHUNKED, "5\r\n12345\r\n", "0\r\n\r\n"], Read::Here),
        (&[CHUNKED, "5\r\n12345\r\n", "0\r\n\r\n"], Read::Elsewhere),
    ] {
        println!("{parts:?} {read:?}");
        let server = Server::new();
        let (service, mut happened) = never(read);
        let (client, io) = tokio::io::duplex(64 << 10);
        let shared = server.shared.clone();
        let served = serve(Reset(io), ConnectInfo::unix(None), service, shared);
        let client = Client::new(client, tokio::spawn(served));
        leaves(client, parts, read, &mut happened).await;
        assert_eq!(server.load.busy(), 0);
    }
}

/// Connected over loopback.
async fn tcp<S: HttpService>(server: &Server, service: S) -> Client<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a connection");
    let (io, peer) = listener.accept().await.expect("a connection");
    let connection = ConnectInfo::tcp(address, peer);
    let served = serve(io, connection, service, server.shared.clone());
    Client::new(client, tokio::spawn(served))
}

#[tokio::test]
async fn sockets_tell_of_a_client_that_leaves() {
    let server = Server::with(|http| http.request_timeout = 3 * SOON);
    for (read, shuts_down) in [
        (Read::Not, false),
        (Read::Elsewhere, false),
        (Read::Not, true),
    ] {
        let whole = [POST, "12345"].concat();
        let (service, mut happened) = never(read);
        let (client, io) = UnixStream::pair().expect("a pair");
        let served = serve(io, ConnectInfo::unix(None), service, server.shared.clone());
        let mut client = Client::new(client, tokio::spawn(served));
        if shuts_down {
            client.send(&whole).await;
            client.io.shutdown().await.expect("half closed");
        }
        let parts: &[&str] = if shuts_down { &[] } else { &[&whole] };
        leaves(client, parts, read, &mut happened).await;

        let (service, mut happened) = never(read);
        let mut client = tcp(&server, service).await;
        // Closed otherwise, it looks as if the client had closed its sending side alone.
        client.io.set_zero_linger().expect("a socket");
        if shuts_down {
            client.send(&whole).await;
            client.io.shutdown().await.expect("half closed");
        }
        leaves(client, parts, read, &mut happened).await;
    }
}

/// Responds to each request after a while: `/stream` in pieces, the others with what was sent.
fn late() -> impl Service<
    Request<RequestBody>,
    Response = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>>,
    Error = BoxError,
    Future: Send,
> + Clone
+ Send
+ 'static {
    service_fn(async |request: Request<RequestBody>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let text = [head.uri.path().as_bytes(), b" ", &body].concat();
        if head.uri.path() != "/stream" {
            let whole = Full::new(Bytes::from(text)).map_err(|never| match never {});
            return Ok::<_, BoxError>(Response::new(whole.boxed_unsync()));
        }
        let pieces = futures_util::stream::unfold(0, async |piece| {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let frame = http_body::Frame::data(Bytes::from(format!("{piece}")));
            (piece < 3).then_some((Ok(frame), piece + 1))
        });
        let body = http_body_util::StreamBody::new(pieces);
        Ok(Response::new(body.boxed_unsync()))
    })
}

/// RFC 9112 section 9.6.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_more_gets_every_response_then_the_connection_closes() {
    let post = [POST, "12345"].concat();
    let chunked = [CHUNKED, "5\r\n12345\r\n0\r\n\r\n"].concat();
    let two = [GET, "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
    let posts = [post.as_str(), &chunked, GET].concat();
    let old = "GET /old HTTP/1.0\r\n\r\n";
    let kept = "GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let stream = "GET /stream HTTP/1.1\r\nhost: a\r\n\r\n";
    for (request, expected) in [
        (GET, &["/ "][..]),
        (old, &["/old "]),
        (kept, &["/old "]),
        (&post, &["/ 12345"]),
        (&chunked, &["/ 12345"]),
        (&two, &["/ ", "/2 "]),
        (&posts, &["/ 12345", "/ 12345", "/ "]),
        (stream, &["012"]),
    ] {
        for at_once in [true, false] {
            println!("{request:?} {at_once}");
            let server = Server::new();
            let mut client = server.connect(late());
            client.send(request).await;
            if !at_once {
                settled().await;
            }
            client.io.shutdown().await.expect("half closed");
            for expected in expected {
                assert_eq!(client.response().await.text(), *expected);
            }
            client.ended().await;
        }
    }
    // One that has its response already.
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
    client.io.shutdown().await.expect("half closed");
    client.ended().await;
}

#[tokio::test]
async fn so_does_one_on_a_socket() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, Infallible>(Response::new("late".to_owned()))
    });
    let mut client = tcp(&server, service).await;
    client.send(GET).await;
    client.io.shutdown().await.expect("half closed");
    assert_eq!(client.response().await.text(), "late");
    client.ended().await;

    let (client, io) = UnixStream::pair().expect("a pair");
    let served = serve(io, ConnectInfo::unix(None), service, server.shared.clone());
    let mut client = Client::new(client, tokio::spawn(served));
    client.send(GET).await;
    client.io.shutdown().await.expect("half closed");
    assert_eq!(client.response().await.text(), "late");
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn the_service_learns_of_the_end_of_the_input() {
    let server = Server::new();
    let service = service_fn(async |request: Request<RequestBody>| {
        let connection = request.extensions().get::<ConnectInfo>();
        let input = connection.expect("known").input().clone();
        let begin = input.is_closed();
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(Response::new(format!("{begin} {}", input.is_closed())))
    });
    let mut client = server.connect(service);
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "false false");
    client.send(GET).await;
    client.io.shutdown().await.expect("half closed");
    assert_eq!(client.response().await.text(), "false true");
    client.ended().await;
}

/// The deadline is that of every slow reader.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_more_and_takes_nothing_is_cut_in_time() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        let chunks = futures_util::stream::repeat_with(|| {
            Ok::<_, BoxError>(http_body::Frame::data(Bytes::from("chunk")))
        });
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(chunks)))
    });
    let mut client = server.connect_with(1000, service);
    let start = Instant::now();
    client.send(GET).await;
    settled().await;
    client.io.shutdown().await.expect("half closed");
    bounded(client.served).await.expect("no panic");
    assert_eq!(
        start.elapsed().as_secs(),
        Http::default().write_timeout.as_secs()
    );
    drop(client.io);
}

/// A whole close looks as that of one side, until something is written.
#[tokio::test(start_paused = true)]
async fn the_first_failed_write_ends_a_stream() {
    let server = Server::new();
    let mut client = server.connect(late());
    client.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n").await;
    settled().await;
    let start = Instant::now();
    drop(client.io);
    bounded(client.served).await.expect("no panic");
    let seconds = start.elapsed().as_secs();
    assert!(
        seconds <= 6,
        "with its head or its first piece: {seconds} s"
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_request_is_served_is_served_after_it() {
    let two = "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    // More than is read ahead at once.
    let long = format!(
        "GET /2 HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(3000)
    );
    let post = "POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
    let whole = [POST, "12345"].concat();
    for parts in [
        &[GET, two][..],
        &[GET, &two[..10], &two[10..]],
        &[GET, "\r\n", two],
        &[GET, &long],
        &[GET, post, "12345"],
        &[&whole, two],
        &[&whole, post, "12345"],
    ] {
        println!("{parts:?}");
        let server = Server::new();
        let count = Count::default();
        let service = {
            let count = count.clone();
            service_fn(move |request: Request<RequestBody>| {
                count.add();
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok::<_, Infallible>(Response::new(request.uri().path().to_owned()))
                }
            })
        };
        let mut client = server.connect(service);
        let start = Instant::now();
        for part in parts {
            client.send(part).await;
            settled().await;
        }
        assert_eq!((count.get(), start.elapsed().as_secs()), (1, 0));
        for path in ["/", "/2"] {
            let response = client.response().await;
            assert_eq!((response.text(), response.closes()), (path, false));
        }
        // The end of the second one is noticed as well.
        client.send(GET).await;
        settled().await;
        assert_eq!(count.get(), 3);
        client.io.shutdown().await.expect("half closed");
        assert_eq!(client.response().await.text(), "/");
        client.ended().await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}

/// The response is not destroyed by a reset.
#[tokio::test(start_paused = true)]
async fn what_comes_after_the_last_request_is_waited_for() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(Response::new("last".to_owned()))
    });
    let mut client = server.connect(service);
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    settled().await;
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "last");
    settled().await;
    assert!(!client.served.is_finished(), "it lingers");
    client.ended().await;
}

/// The service reads it at once, or when the connection has looked.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_looked_for_is_all_the_service_s() {
    fn exact(body: &RequestBody) -> u64 {
        body.size_hint().exact().expect("known")
    }
    for (parts, seen) in [
        (&["12345"][..], "false 5 12345 true 0"),
        (&["123", "45"], "false 5 123 false 2 45 true 0"),
        (&["", "12345"], "false 5 12345 true 0"),
        (&["", "123", "45"], "false 5 123 false 2 45 true 0"),
    ] {
        for wait in [0, 1000] {
            let service = service_fn(move |request: Request<RequestBody>| async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let mut body = request.into_body();
                let mut seen = format!("{} {}", body.is_end_stream(), exact(&body));
                while let Some(frame) = body.frame().await {
                    let data = frame?.into_data().expect("no trailers");
                    let (data, end) = (str::from_utf8(&data)?, body.is_end_stream());
                    seen += &format!(" {data} {end} {}", exact(&body));
                }
                Ok::<_, BoxError>(Response::new(seen))
            });
            let server = Server::new();
            let mut client = server.connect(service);
            client.send([POST, parts[0]].concat()).await;
            for part in &parts[1..] {
                settled().await;
                client.send(part).await;
            }
            let response = client.response().await;
            assert_eq!((response.text(), response.closes()), (seen, false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_client_whose_body_is_not_wanted() {
    let server = Server::new();
    let (service, mut happened) = never(Read::Not);
    let mut client = server.connect(service);
    let expects = POST.replace("host", "expect: 100-continue\r\nhost");
    client.send(&expects).await;
    assert_eq!(bounded(happened.recv()).await, Some(Event::Called));
    let head = timeout(Duration::from_secs(1), client.fill()).await;
    assert!(head.is_err(), "{:?}", client.read);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_off_while_it_is_not_read_is_an_error() {
    let server = Server::new();
    let service = service_fn(async |request: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let error = request.into_body().collect().await.expect_err("cut off");
        let error = error
            .downcast_ref::<std::io::Error>()
            .expect("of this kind");
        Ok::<_, Infallible>(Response::new(error.kind().to_string()))
    });
    for start in ["", "123"] {
        let mut client = server.connect(service);
        client.send([POST, start].concat()).await;
        client.io.shutdown().await.expect("half closed");
        let response = client.response().await;
        assert_eq!(response.text(), "unexpected end of file");
        assert!(response.closes());
        client.ended().await;
    }
}
