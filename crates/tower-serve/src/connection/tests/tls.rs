//! Connections that are encrypted.

use tokio_rustls::{
    TlsConnector, client,
    rustls::{ServerConfig, pki_types::ServerName},
};

use super::{
    super::{
        handle::ConnectionGuard,
        handshake::{Shaken, handshake},
        serve::{Begin, serve_open},
    },
    *,
};
use crate::connection::serve_tcp;
use crate::{
    Tls,
    tls::{Handshakes, testing},
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Both sides of a certificate.
struct Certified {
    config: Arc<ServerConfig>,
    tls: Tls,
    connector: TlsConnector,
}

fn handshakes(tls: &Tls) -> Handshakes {
    Handshakes::new(tls, vec![b"http/1.1".to_vec()]).unwrap()
}

impl Certified {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (mut tls, root) = testing::certificate(directory.path());
        tls.read().unwrap();
        Self {
            config: handshakes(&tls).current(),
            tls,
            connector: testing::connector(root),
        }
    }

    /// A connection without a handshake.
    fn connect<S: HttpService>(
        &self,
        server: &Server,
        service: S,
    ) -> (DuplexStream, JoinHandle<()>) {
        let (client, io) = tokio::io::duplex(4 << 10);
        let (config, shared) = (self.config.clone(), server.shared.clone());
        let served = tokio::spawn(async move {
            let connection = ConnectInfo::unix(None).encrypted();
            let open = ConnectionGuard::begin(&shared, &connection);
            let shaken = handshake(io, &config, &shared, open.handle()).await;
            if let Some(Shaken::Encrypted(io)) = shaken {
                serve_open(*io, connection, service, shared, open, Begin::Http1).await;
            }
        });
        (client, served)
    }

    async fn shake(
        &self,
        (io, served): (DuplexStream, JoinHandle<()>),
    ) -> Client<client::TlsStream<DuplexStream>> {
        let name = ServerName::try_from(testing::NAME).unwrap();
        let io = bounded(self.connector.connect(name, io)).await.unwrap();
        Client::new(io, served)
    }
}

/// Says whether the connection is encrypted.
async fn scheme(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let connection = request.extensions().get::<ConnectInfo>().unwrap();
    let encrypted = connection.is_encrypted();
    Ok(Response::new(
        if encrypted { "https" } else { "http" }.to_owned(),
    ))
}

#[tokio::test(start_paused = true)]
async fn requests_are_served_and_the_end_is_announced() {
    let (certified, server) = (Certified::new(), Server::new());
    let mut plain = server.connect(service_fn(scheme));
    plain.send(GET).await;
    assert_eq!(plain.response().await.text(), "http");

    let mut client = certified
        .shake(certified.connect(&server, service_fn(scheme)))
        .await;
    for _ in 0..3 {
        client.send(GET).await;
        assert_eq!(client.response().await.text(), "https");
    }
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(client.response().await.closes());
    let end = bounded(client.io.read(&mut [0; 1])).await;
    assert_eq!(end.unwrap(), 0, "not an end that may be an attacker's");
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn large_bodies_arrive() {
    let (certified, server) = (Certified::new(), Server::new());
    let mut client = certified.shake(certified.connect(&server, echo())).await;
    let body = "x".repeat(1 << 20);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.send(head + &body).await;
    assert!(client.response().await.text().ends_with(&body));
}

/// Whether or not it says that no more comes, before its side of the connection ends.
#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_more_gets_its_response() {
    let (certified, server) = (Certified::new(), Server::new());
    let late = service_fn(async |_: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, Infallible>(Response::new("late".to_owned()))
    });
    for says_goodbye in [true, false] {
        let mut client = certified.shake(certified.connect(&server, late)).await;
        client.send(GET).await;
        if says_goodbye {
            client.io.shutdown().await.unwrap();
        } else {
            client.io.get_mut().0.shutdown().await.unwrap();
        }
        assert_eq!(client.response().await.text(), "late");
        client.ended().await;
        assert_eq!(server.load.busy(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_response_of_http_1_0_does_not_look_whole() {
    let broken = service_fn(async |_: Request<RequestBody>| {
        let parts = [Ok(Bytes::from_static(b"half")), Err("broken")];
        let parts = parts.map(|part| part.map(http_body::Frame::data));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(parts));
        Ok::<_, Infallible>(Response::new(body))
    });
    let (certified, server) = (Certified::new(), Server::new());
    let mut client = certified.shake(certified.connect(&server, broken)).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let mut response = Vec::new();
    let end = bounded(client.io.read_to_end(&mut response)).await;
    assert!(end.is_err(), "{}", String::from_utf8_lossy(&response));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_time_of_a_head() {
    let (certified, server) = (Certified::new(), Server::new());
    let start = Instant::now();
    let (mut client, served) = certified.connect(&server, echo());
    client.write_all(b"\x16\x03\x01").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (server.load.connections(), server.load.busy()),
        (OTHERS + 1, 1)
    );
    bounded(served).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!((server.load.connections(), server.load.busy()), (OTHERS, 0));
}

#[tokio::test(start_paused = true)]
async fn who_speaks_no_tls_is_refused_at_once() {
    let (certified, server) = (Certified::new(), Server::new());
    let start = Instant::now();
    let (mut client, served) = certified.connect(&server, echo());
    client.write_all(GET.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let _ = bounded(client.read_to_end(&mut response)).await;
    assert!(!response.starts_with(b"HTTP"));
    bounded(served).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    // Neither does one do harm that has gone.
    let (client, served) = certified.connect(&server, echo());
    drop(client);
    bounded(served).await.unwrap();
    assert_eq!(server.load.connections(), OTHERS);
}

#[tokio::test(start_paused = true)]
async fn a_drain_leaves_a_handshake_a_moment() {
    let (certified, server) = (Certified::new(), Server::new());
    let late = certified.connect(&server, echo());
    let (_silent, served) = certified.connect(&server, echo());
    tokio::time::sleep(Duration::from_millis(1)).await;
    server.drain.send_replace(AT_ONCE);
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut late = certified.shake(late).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    late.send(GET).await;
    assert!(late.response().await.closes());
    late.ended().await;
    bounded(served).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// As nginx has it. Clients would show a TLS alert as rubbish.
#[tokio::test]
async fn plain_http_gets_a_response_that_says_so() {
    let certified = Certified::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Server::new().shared;
    let shared = Arc::into_inner(shared)
        .unwrap()
        .encrypted(handshakes(&certified.tls));
    let shared = Arc::new(shared);
    let connect = async || {
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        let (io, peer) = listener.accept().await.unwrap();
        let connection = ConnectInfo::tcp(address, peer);
        let served = serve_tcp(io, connection, service_fn(scheme), shared.clone());
        (client, tokio::spawn(served))
    };
    for request in [GET, "POST / HTTP/1.0\r\ncontent-length: 5\r\n\r\n12345"] {
        let (io, served) = connect().await;
        let mut client = Client::new(io, served);
        client.send(request).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (400, true));
        assert_eq!(
            response.text(),
            "400 Bad Request\nThis port requires HTTPS, and the request came without TLS.\n"
        );
        client.io.shutdown().await.unwrap();
        client.ended().await;
    }
    // The others are served.
    let (io, served) = connect().await;
    let name = ServerName::try_from(testing::NAME).unwrap();
    let io = bounded(certified.connector.connect(name, io))
        .await
        .unwrap();
    let mut client = Client::new(io, served);
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "https");
}
