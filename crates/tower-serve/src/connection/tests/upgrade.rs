//! Upgrades: what is offered, what the client of an upgraded connection sees, and how it ends.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::*;

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
                         upgrade: websocket\r\n\r\n";

/// Accepts every upgrade that is offered, and runs `task` with the connection.
pub(super) fn upgrades<F: Future<Output = ()> + Send + 'static>(
    task: impl Fn(TokioIo<Upgraded>) -> F + Clone + Send + Sync + 'static,
) -> impl Service<Request<RequestBody>, Response = Response<String>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |mut request: Request<RequestBody>| {
        let task = task.clone();
        async move {
            let protocol = request.headers().get("upgrade").cloned();
            let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
                return Ok::<_, Infallible>(Response::new("not offered".to_owned()));
            };
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    task(TokioIo::new(upgraded)).await;
                }
            });
            let response = Response::builder().status(101);
            let response = response.header("connection", "upgrade");
            let response = response.header("upgrade", protocol.unwrap());
            Ok(response.body(String::new()).unwrap())
        }
    })
}

/// Sends back what it gets until the end.
pub(super) async fn echo_bytes(mut io: TokioIo<Upgraded>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = io.read(&mut buffer).await {
        if io.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_is_the_service_s() {
    let server = Server::new();
    let mut client = server.connect(upgrades(echo_bytes));
    // What follows the request in the same piece belongs to the other protocol.
    client
        .send([HANDSHAKE.as_bytes(), b"\x81\x01a"].concat())
        .await;
    let response = client.response().await;
    assert_eq!(response.status, 101);
    assert_eq!(response.field("connection"), "upgrade");
    assert_eq!(response.field("upgrade"), "websocket");
    assert_eq!(server.load.upgraded(), 1);
    assert_eq!(server.load.requests(), 0);
    assert_eq!(server.load.connections(), OTHERS + 1);
    for _ in 0..3 {
        while client.read.len() < 3 {
            client.fill().await;
        }
        assert_eq!(client.read.drain(..).as_slice(), b"\x81\x01a");
        client.send(b"\x81\x01a").await;
    }
    client.io.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"\x81\x01a");
    client.ended().await;
    assert_eq!(
        (server.load.upgraded(), server.load.upgraded_total()),
        (0, 1)
    );
    assert_eq!(server.load.connections(), OTHERS);
}

/// The parts of a handshake, without one of them.
fn handshake(connection: &str, protocol: &str, rest: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\nupgrade: {protocol}\r\n{rest}\r\n"
    )
}

/// Upgrades, and reads on until the head of the response was read.
async fn upgraded(server: &Server, service: impl HttpService) -> Client<DuplexStream> {
    let mut client = server.connect(service);
    client.send(HANDSHAKE).await;
    assert_eq!(client.response().await.status, 101);
    client
}

impl Client<DuplexStream> {
    /// The next bytes, which have to be these.
    async fn expect(&mut self, bytes: &[u8]) {
        while self.read.len() < bytes.len() {
            assert_ne!(self.fill().await, 0, "{:?} and the end", self.read);
        }
        assert_eq!(self.read.drain(..bytes.len()).as_slice(), bytes);
    }
}

pub(super) const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
const PING: &[u8] = b"\x89\x00";

#[tokio::test(start_paused = true)]
async fn only_what_the_client_asks_for_is_offered() {
    let server = Server::new();
    let mut client = server.connect(upgrades(echo_bytes));
    for request in [
        handshake("upgrade", "h2c", ""),
        handshake("keep-alive", "websocket", ""),
        handshake("upgrade", " ,", ""),
        handshake("upgrade", "websocket", "content-length: 1\r\n") + "x",
    ] {
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!(response.text(), "not offered", "{request}");
    }
    client.send(handshake("upgrade", "h2c, other/1", "")).await;
    assert_eq!(client.response().await.status, 101);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_the_client_has_not_asked_for_is_an_error() {
    let server = Server::new();
    for (request, closes) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), true),
        (handshake("upgrade", "h2c", ""), true),
    ] {
        let mut client = server.connect(service_fn(async |_: Request<RequestBody>| {
            let response = Response::builder().status(101);
            Ok::<_, Infallible>(response.body(String::new()).unwrap())
        }));
        client.send(request).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (500, closes));
        client.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_leaves_the_connection_as_it_was() {
    let server = Server::with(|http| http.max_upgraded = 1);
    // The one place is free again each time.
    let mut client = server.connect(service_fn(async |_: Request<RequestBody>| {
        let response = Response::builder().status(426);
        Ok::<_, Infallible>(response.body("x".repeat(100_000)).unwrap())
    }));
    for _ in 0..3 {
        client.send([HANDSHAKE, HANDSHAKE].concat()).await;
        for _ in 0..2 {
            let response = client.response().await;
            assert_eq!((response.status, response.body.len()), (426, 100_000));
            assert!(!response.closes());
        }
    }
    assert_eq!(server.load.upgraded_total(), 0);
    client.io.shutdown().await.unwrap();
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_nobody_takes_is_closed() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |_: Request<RequestBody>| {
        let response = Response::builder()
            .status(101)
            .header("upgrade", "websocket")
            .header("content-length", "7");
        Ok::<_, Infallible>(response.body("dropped".to_owned()).unwrap())
    }));
    client
        .send([HANDSHAKE.as_bytes(), &[0; 10_000]].concat())
        .await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.field("content-length")),
        (101, "")
    );
    client.ended().await;
    assert_eq!(server.load.upgraded(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_a_narrow_pipe() {
    let server = Server::new();
    let mut client = server.connect_with(3, upgrades(echo_bytes));
    client.send(HANDSHAKE).await;
    assert_eq!(client.response().await.status, 101);
    for _ in 0..100 {
        client.send(b"abc").await;
        client.expect(b"abc").await;
    }
    client.io.shutdown().await.unwrap();
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_response_before_it_is_whole() {
    let server = Server::new();
    let upgrading = upgrades(echo_bytes);
    let service = service_fn(move |request: Request<RequestBody>| {
        let mut upgrading = upgrading.clone();
        async move {
            if request.uri().path() == "/chat" {
                return upgrading.call(request).await;
            }
            Ok(Response::new("x".repeat(300_000)))
        }
    });
    let mut client = server.connect_with(500, service);
    let plain = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    client
        .send([plain, HANDSHAKE, "\u{1}\u{1}a"].concat())
        .await;
    assert_eq!(client.response().await.body.len(), 300_000);
    assert_eq!(client.response().await.status, 101);
    client.expect(b"\x01\x01a").await;
}

#[tokio::test(start_paused = true)]
async fn at_a_drain_the_client_is_told_and_the_service_sees_its_close() {
    let server = Server::new();
    let (seen, end) = (Count::default(), Count::default());
    let service = upgrades({
        let (seen, end) = (seen.clone(), end.clone());
        move |mut io| {
            let (seen, end) = (seen.clone(), end.clone());
            async move {
                let mut buffer = [0; 100];
                let length = io.read(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..length], b"\x88\x80mask");
                seen.add();
                // As every WebSocket library replies, and more.
                io.write_all(b"\x88\x00\x81\x01a").await.unwrap();
                io.flush().await.unwrap();
                io.shutdown().await.unwrap();
                assert_eq!(io.read(&mut buffer).await.unwrap(), 0);
                end.add();
            }
        }
    });
    let mut client = upgraded(&server, service).await;
    server.drain.send_replace(AT_ONCE);
    client.expect(GOING_AWAY).await;
    assert_eq!((seen.get(), server.load.upgraded()), (0, 1));
    client.send(b"\x88\x80mask").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!((seen.get(), end.get()), (1, 0));
    client.io.shutdown().await.unwrap();
    client.ended().await;
    assert_eq!((end.get(), server.load.upgraded()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_upgraded_during_a_drain_is_told_at_once() {
    let server = Server::new();
    let mut client = server.connect(upgrades(echo_bytes));
    server.drain.send_replace(AT_ONCE);
    client.send(HANDSHAKE).await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.field("connection")),
        (101, "upgrade")
    );
    client.expect(GOING_AWAY).await;
}

/// The frames that the service of a test sends, as it gets them by a channel.
fn sender() -> (tokio::sync::mpsc::Sender<&'static [u8]>, impl HttpService) {
    let (send, frames) = tokio::sync::mpsc::channel::<&[u8]>(8);
    let frames = Arc::new(tokio::sync::Mutex::new(frames));
    let service = upgrades(move |mut io| {
        let frames = frames.clone();
        async move {
            // Nothing reads here, so only the connection's task notices a drain.
            while let Some(frame) = frames.lock().await.recv().await {
                if io.write_all(frame).await.is_err() {
                    return;
                }
            }
        }
    });
    (send, service)
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_comes_after_the_frame_of_the_service() {
    for (first, second) in [
        ("\x01", "\x05abcde"),
        ("\x01\x05", "abcde"),
        ("\x01\x05abcd", "e"),
    ] {
        let server = Server::new();
        let (send, service) = sender();
        let mut client = upgraded(&server, service).await;
        send.send(first.as_bytes()).await.unwrap();
        client.expect(first.as_bytes()).await;
        server.drain.send_replace(AT_ONCE);
        let silent = timeout(Duration::from_secs(1), client.io.read_u8()).await;
        assert!(silent.is_err());
        // The last frame is discarded.
        let rest = format!("{second}\u{1}\u{1}f");
        send.send(rest.leak().as_bytes()).await.unwrap();
        client.expect(second.as_bytes()).await;
        client.expect(GOING_AWAY).await;
        send.send(b"\x01\x01g").await.unwrap();
        drop(send);
        client.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_closed_is_left_alone() {
    let server = Server::new();
    let (send, service) = sender();
    let mut client = upgraded(&server, service).await;
    send.send(b"\x88\x02\x03\xe8").await.unwrap();
    client.expect(b"\x88\x02\x03\xe8").await;
    server.drain.send_replace(AT_ONCE);
    tokio::time::sleep(Duration::from_secs(40)).await;
    drop(send);
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn another_protocol_is_never_interrupted() {
    let server = Server::new();
    let (send, service) = sender();
    let mut client = server.connect(service);
    client.send(handshake("upgrade", "other/1", "")).await;
    assert_eq!(client.response().await.status, 101);
    server.drain.send_replace(AT_ONCE);
    let started = Instant::now();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        send.send(b"abc").await.unwrap();
        client.expect(b"abc").await;
    }
    // What it sends has kept it, until nothing is sent either way.
    client.ended().await;
    assert!(started.elapsed() >= Duration::from_secs(250 + 10));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_gets_a_ping_and_is_cut() {
    let server = Server::with(|http| http.upgrade_idle_timeout = Duration::from_secs(100));
    let mut client = upgraded(&server, upgrades(echo_bytes)).await;
    let started = Instant::now();
    for ping in 1..=3 {
        client.expect(PING).await;
        assert_eq!(started.elapsed().as_secs(), 50 * ping);
        // The pong, which this service sends back.
        client.send(b"\x8a\x80mask").await;
        client.expect(b"\x8a\x80mask").await;
    }
    client.expect(PING).await;
    // Half a frame, and silence.
    client.send(b"\x81").await;
    client.expect(b"\x81").await;
    client.ended().await;
    assert_eq!(started.elapsed().as_secs(), 300);
    assert_eq!(server.load.upgraded(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut() {
    let server = Server::new();
    let cut = Count::default();
    let service = upgrades({
        let cut = cut.clone();
        move |mut io| {
            let cut = cut.clone();
            async move {
                while io.write_all(b"\x81\x05hello").await.is_ok() {}
                cut.add();
            }
        }
    });
    let mut client = upgraded(&server, service).await;
    let started = Instant::now();
    // It sends, so that it is not silent, but the service does not read that.
    client.send(b"\x81\x80mask").await;
    bounded(&mut client.served).await.unwrap();
    let waited = started.elapsed().as_secs();
    assert!((60..=90).contains(&waited), "{waited}");
    assert_eq!(cut.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_service_does_not_make_its_client_silent() {
    let server = Server::new();
    let service = upgrades(async |mut io: TokioIo<Upgraded>| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut buffer = [0; 100];
        while let Ok(length @ 1..) = io.read(&mut buffer).await {
            tokio::time::sleep(Duration::from_secs(50)).await;
            if io.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    });
    let mut client = upgraded(&server, service).await;
    client.send(b"\x81\x00").await;
    client.expect(PING).await;
    client.expect(b"\x81\x00").await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_the_service_is_not_called() {
    let server = Server::with(|http| http.max_upgraded = 2);
    let first = upgraded(&server, upgrades(echo_bytes)).await;
    let _second = upgraded(&server, upgrades(echo_bytes)).await;
    let refused = || async {
        let mut client = server.connect(upgrades(echo_bytes));
        client.send(HANDSHAKE).await;
        client.response().await
    };
    let response = refused().await;
    assert_eq!((response.status, response.field("retry-after")), (503, "1"));
    let mut plain = server.connect(echo());
    plain.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(plain.response().await.status, 200);
    drop(first.io);
    bounded(first.served).await.unwrap();
    assert_eq!(refused().await.status, 101);
}

#[tokio::test(start_paused = true)]
async fn a_full_table_does_not_close_it() {
    let server = Server::new();
    let mut client = upgraded(&server, upgrades(echo_bytes)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(server.load.make_room(2), 0);
    server.load.shed_all();
    client.send(b"\x81\x00").await;
    client.expect(b"\x81\x00").await;
}

/// Takes the frames of a server apart: first byte and payload. The last one is left out if the server was cut in it.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        assert!(*length < 126, "{length}");
        let Some((payload, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return frames;
        };
        frames.push((*first, payload.to_vec()));
        bytes = rest;
    }
    frames
}

/// Pings and the close frame come between the frames of the service, in whichever pieces it writes them.
#[tokio::test(start_paused = true)]
async fn frames_stay_whole_in_pieces_of_any_length() {
    let (mut pings, mut closed) = (0, 0);
    for seed in 0..200 {
        let server = Server::with(|http| http.upgrade_idle_timeout = Duration::from_secs(4));
        let service = upgrades(move |mut io| async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = Vec::new();
            for number in 0..100 {
                let length = random.u8(0..120);
                bytes.extend([0x82, length]);
                bytes.extend(std::iter::repeat_n(number, usize::from(length)));
            }
            let mut bytes = bytes.as_slice();
            while !bytes.is_empty() {
                let (piece, rest) = bytes.split_at(random.usize(1..=bytes.len().min(300)));
                if io.write_all(piece).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(random.u64(0..300))).await;
                bytes = rest;
            }
        });
        let mut random = fastrand::Rng::with_seed(seed);
        let mut client = server.connect_with(random.usize(1..400), service);
        client.send(HANDSHAKE).await;
        assert_eq!(client.response().await.status, 101);
        let drain = server.drain.clone();
        let after = Duration::from_millis(random.u64(0..10_000));
        let read = async {
            let mut bytes = Vec::new();
            while let Ok(byte) = client.io.read_u8().await {
                bytes.push(byte);
            }
            bytes
        };
        let drained = async {
            tokio::time::sleep(after).await;
            drain.send_replace(AT_ONCE);
        };
        let (bytes, ()) = bounded(async { tokio::join!(read, drained) }).await;
        client.read.extend(bytes);
        let frames = frames(&client.read);
        let (own, service): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|(first, _)| *first != 0x82);
        for (first, payload) in &service {
            assert_eq!(*first, 0x82, "{seed}");
            assert!(payload.windows(2).all(|two| two[0] == two[1]), "{seed}");
        }
        pings += own.iter().filter(|(first, _)| *first == 0x89).count();
        let closes = own.iter().filter(|(first, _)| *first == 0x88).count();
        closed += closes;
        assert!(closes <= 1 && own.iter().all(|(first, _)| [0x88, 0x89].contains(first)));
    }
    assert!(pings > 50 && closed > 50, "{pings} {closed}");
}
