//! Clients that leave while their request is being answered, and those that only seem to.

use http_body::Body as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};

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

/// Tells of its end.
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

/// Never answers.
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

/// Until nobody has anything to do.
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
        let client = server.connect(service);
        leaves(client, parts, read, &mut happened).await;
        assert_eq!(server.load.busy(), 0);
    }
}

#[tokio::test]
async fn sockets_tell_of_a_client_that_leaves() {
    let server = Server::with(|http| http.request_timeout = 3 * SOON);
    for read in [Read::Not, Read::Elsewhere] {
        let whole = [POST, "12345"].concat();
        let (service, mut happened) = never(read);
        let (client, io) = tokio::net::UnixStream::pair().expect("a pair");
        let served = serve(io, Connection::unix(None), service, server.shared.clone());
        let client = Client::new(client, tokio::spawn(served));
        leaves(client, &[&whole], read, &mut happened).await;

        let (service, mut happened) = never(read);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = tokio::net::TcpStream::connect(address).await;
        let (io, peer) = listener.accept().await.expect("a connection");
        let connection = Connection::tcp(address, peer);
        let served = serve(io, connection, service, server.shared.clone());
        let client = Client::new(client.expect("a connection"), tokio::spawn(served));
        leaves(client, &[&whole], read, &mut happened).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_more_is_taken_for_gone() {
    let server = Server::new();
    for request in [GET, &[POST, "12345"].concat()] {
        let (service, mut happened) = never(Read::Not);
        let mut client = server.connect(service);
        client.send(request).await;
        assert_eq!(bounded(happened.recv()).await, Some(Event::Called));
        let start = Instant::now();
        client.io.shutdown().await.expect("half closed");
        client.ended().await;
        assert_eq!(happened.recv().await, Some(Event::Dropped));
        assert!(start.elapsed() < SOON, "not when the service is late");

        // One that is answered at once gets the answer.
        let mut client = server.connect(echo());
        client.send(request).await;
        client.io.shutdown().await.expect("half closed");
        assert_eq!(client.answer().await.status, 200);
        client.ended().await;

        // After the answer nothing is cut.
        let mut client = server.connect(echo());
        client.send(request).await;
        assert_eq!(client.answer().await.status, 200);
        client.io.shutdown().await.expect("half closed");
        client.ended().await;
    }
}

/// So does one that takes nothing of its answer.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_more_gets_no_more_of_its_answer() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        let chunks = futures_util::stream::repeat_with(|| {
            Ok::<_, BoxError>(http_body::Frame::data(Bytes::from("chunk")))
        });
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(chunks)))
    });
    let mut client = server.connect_with(1000, service);
    client.send(GET).await;
    settled().await;
    let start = Instant::now();
    client.io.shutdown().await.expect("half closed");
    bounded(client.served).await.expect("no panic");
    assert!(start.elapsed() < SOON, "not when it is late");
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_request_is_answered_is_answered_after_it() {
    let two = "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    // More than is looked at once.
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
            let answer = client.answer().await;
            assert_eq!((answer.text(), answer.closes()), (path, false));
        }
        // The second one's end is told as well.
        client.send(GET).await;
        settled().await;
        assert_eq!(count.get(), 3);
        client.io.shutdown().await.expect("half closed");
        client.ended().await;
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}

/// The answer is not destroyed by a reset.
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
    assert_eq!(client.answer().await.text(), "last");
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
            let answer = client.answer().await;
            assert_eq!((answer.text(), answer.closes()), (seen, false));
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
        let answer = client.answer().await;
        assert_eq!(answer.text(), "unexpected end of file");
        assert!(answer.closes());
        client.ended().await;
    }
}
