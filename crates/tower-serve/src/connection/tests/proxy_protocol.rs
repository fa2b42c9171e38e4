//! Connections that begin with the header of the PROXY protocol.

use std::net::SocketAddr;

use axum::{Extension, Router, routing::get};

use super::*;
use crate::{TrustedProxies, connection::serve_io};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// A connection from this peer, to a server that expects headers from the loopback addresses and Unix sockets.
fn connect(server: Server, connection: ConnectInfo) -> Client<DuplexStream> {
    let shared = Arc::into_inner(server.shared).unwrap();
    let local = crate::TrustedPeers::local;
    let shared = shared.proxied(local()).behind(TrustedProxies::new(local()));
    let (client, io) = tokio::io::duplex(64 << 10);
    let who = async |Extension(connection): Extension<ConnectInfo>| {
        format!(
            "{:?} {:?}",
            connection.peer(),
            connection.client().map(|client| client.ip)
        )
    };
    let router = Router::new().route("/", get(who));
    let served = tokio::spawn(serve_io(io, connection, router, Arc::new(shared)));
    Client::new(client, served)
}

fn from(peer: [u8; 4]) -> ConnectInfo {
    let local = SocketAddr::from(([127, 0, 0, 1], 8000));
    ConnectInfo::tcp(local, (peer, 40000).into())
}

#[tokio::test(start_paused = true)]
async fn the_header_names_the_peer() {
    for connection in [from([127, 0, 0, 1]), ConnectInfo::unix(None)] {
        let mut client = connect(Server::new(), connection);
        client
            .send(format!("PROXY TCP4 192.0.2.7 192.0.2.1 5 443\r\n{GET}"))
            .await;
        let named = "Some(192.0.2.7:5) Some(192.0.2.7)";
        assert_eq!(client.response().await.text(), named);
        // What the client itself writes into its requests is not what the proxy says.
        let lie = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 198.51.100.1\r\n\r\n";
        client.send(lie).await;
        assert_eq!(client.response().await.text(), named);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_the_proxy_itself() {
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x03abc",
    ] {
        let mut client = connect(Server::new(), from([127, 0, 0, 1]));
        client.send(header).await;
        client.send(GET).await;
        let own = "Some(127.0.0.1:40000) Some(127.0.0.1)";
        assert_eq!(client.response().await.text(), own);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_closed_without_a_response() {
    let header = "PROXY TCP4 192.0.2.7 192.0.2.1 5 443\r\n";
    for (peer, sent) in [
        ([127, 0, 0, 1], GET.to_owned()),
        ([127, 0, 0, 1], "PROXY TCP4 nowhere\r\n".to_owned()),
        ([127, 0, 0, 1], format!("PROXY UNKNOWN {}", "f".repeat(200))),
        ([192, 0, 2, 9], format!("{header}{GET}")),
        ([192, 0, 2, 9], GET.to_owned()),
    ] {
        let server = Server::new();
        let load = server.load.clone();
        let mut client = connect(server, from(peer));
        client.send(sent.as_bytes()).await;
        let mut rest = Vec::new();
        client.io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"", "{sent}");
        client.served.await.unwrap();
        assert_eq!(load.connections(), OTHERS, "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_header_has_the_time_of_a_request_head() {
    for sent in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 ",
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x0f\xff",
    ] {
        let mut client = connect(Server::new(), from([127, 0, 0, 1]));
        let begin = Instant::now();
        client.send(sent).await;
        let mut rest = Vec::new();
        client.io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        assert_eq!(begin.elapsed().as_secs(), 10, "{sent:?}");
    }
}
