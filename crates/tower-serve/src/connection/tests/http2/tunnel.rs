//! WebSocket on streams of HTTP/2 (RFC 8441).

use h2::{SendStream, ext::Protocol};

use super::*;
use crate::connection::tests::upgrade::{GOING_AWAY, echo_bytes, upgrades};

/// A WebSocket on a stream.
struct Tunnel {
    head: http::response::Parts,
    send: SendStream<Bytes>,
    receive: RecvStream,
}

impl Streams {
    /// Asks for a WebSocket, as a browser does.
    async fn connect_websocket(&self, fields: &[(&'static str, &'static str)]) -> Tunnel {
        let mut request = Request::connect("http://a/chat?room=1")
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        // The server's settings have come with the first response.
        let _ = self.get("/").await;
        let mut requests = bounded(self.requests.clone().ready()).await.unwrap();
        assert!(requests.is_extended_connect_protocol_enabled());
        let request = request.body(()).unwrap();
        let (response, send) = requests.send_request(request, false).unwrap();
        let (head, receive) = bounded(response).await.unwrap().into_parts();
        Tunnel {
            head,
            send,
            receive,
        }
    }
}

impl Tunnel {
    fn send(&mut self, bytes: &'static [u8]) {
        self.send
            .send_data(Bytes::from_static(bytes), false)
            .unwrap();
    }

    /// The next bytes, which have to be these.
    async fn expect(&mut self, bytes: &[u8]) {
        let mut read = Vec::new();
        while read.len() < bytes.len() {
            let data = bounded(self.receive.data()).await;
            read.extend_from_slice(&data.expect("more bytes").expect("no error"));
        }
        assert_eq!(read, bytes);
    }

    async fn ended(mut self) {
        while let Some(data) = bounded(self.receive.data()).await {
            assert!(data.expect("no error").is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_becomes_a_websocket_and_others_go_on() {
    let server = Server::new();
    let streams = Streams::connect(&server, upgrades(echo_bytes)).await;
    let mut tunnel = streams.connect_websocket(&[]).await;
    assert_eq!(tunnel.head.status, 200);
    for field in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!tunnel.head.headers.contains_key(field), "{field}");
    }
    assert_eq!(server.load.upgraded(), 1);
    assert_eq!(server.load.requests(), 0);
    for _ in 0..3 {
        tunnel.send(b"\x81\x01a");
        tunnel.expect(b"\x81\x01a").await;
        assert_eq!(streams.get("/").await.unwrap().text(), "not offered");
    }
    tunnel.send.send_data(Bytes::new(), true).unwrap();
    tunnel.ended().await;
    streams.left().await;
    assert_eq!(server.load.upgraded(), 0);
    assert_eq!(server.load.connections(), OTHERS);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_on_a_stream_is_closed_with_1001_by_a_drain() {
    let server = Server::new();
    let streams = Streams::connect(&server, upgrades(echo_bytes)).await;
    let mut tunnel = streams.connect_websocket(&[]).await;
    assert_eq!(tunnel.head.status, 200);
    server.drain.send_replace(AT_ONCE);
    tunnel.expect(GOING_AWAY).await;
    tunnel.send(GOING_AWAY);
    tunnel.send.send_data(Bytes::new(), true).unwrap();
    tunnel.ended().await;
    streams.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_is_refused_gets_the_response_of_the_service() {
    let server = Server::with(|http| http.max_upgraded = 0);
    let streams = Streams::connect(&server, upgrades(echo_bytes)).await;
    let tunnel = streams.connect_websocket(&[]).await;
    assert_eq!(tunnel.head.status, 503);
    assert!(tunnel.head.headers.contains_key("retry-after"));
    let tunnel = streams.connect_websocket(&[("host", "b")]).await;
    assert_eq!(tunnel.head.status, 400);
    streams.left().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_websockets() {
    let server = Server::new();
    let streams = Streams::connect(&server, upgrades(echo_bytes)).await;
    let tunnel = streams.connect_websocket(&[]).await;
    assert_eq!(server.load.upgraded(), 1);
    streams.driven.abort();
    bounded(streams.served).await.expect("no panic");
    drop(tunnel);
    assert_eq!(server.load.upgraded(), 0);
    assert_eq!(server.load.connections(), OTHERS);
}
