//! The start of a connection (RFC 9113 section 3).

use tests::{
    Client,
    http2::{Fields, Frame, Outcome, PREFACE, RawHttp2, code, flag, kind},
};

use crate::{
    Server,
    case::{
        Case,
        Expect::{Closed, GoAway, Served},
        check, fresh,
    },
};

const CASES: &[Case] = &[
    fresh(
        "3.4 the preface, the settings and a request may come at once",
        |client| {
            client.send(PREFACE)?;
            client.frames(&[
                Frame::settings(&[(1, 0)]),
                Frame::headers(1, flag::WHOLE, Fields::get("/")),
            ])?;
            Ok(1)
        },
        &[Served(200)],
    ),
    fresh(
        "3.4 the preface may come byte by byte",
        |client| {
            for byte in PREFACE {
                client.send([*byte])?;
            }
            for byte in Frame::settings(&[(1, 0)]).bytes() {
                client.send([byte])?;
            }
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    fresh(
        "3.4 the settings of a client may be empty",
        |client| {
            client.send(PREFACE)?;
            client.frame(&Frame::settings(&[]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    fresh(
        "3.4 the first frame of a client is SETTINGS, not a request",
        |client| {
            client.send(PREFACE)?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[GoAway(code::PROTOCOL_ERROR), Closed],
    ),
    fresh(
        "3.4 the first frame of a client is SETTINGS, not PING",
        |client| {
            client.send(PREFACE)?;
            client.frame(&Frame::ping([1; 8]))?;
            client.frame(&Frame::settings(&[]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[GoAway(code::PROTOCOL_ERROR), Closed],
    ),
    fresh(
        "3.4 the first SETTINGS frame of a client is no acknowledgement",
        |client| {
            client.send(PREFACE)?;
            client.frame(&Frame::new(kind::SETTINGS, flag::ACK, 0, []))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[GoAway(code::PROTOCOL_ERROR), Closed],
    ),
    fresh(
        "3.4 a second preface is no frame",
        |client| {
            client.start(&[])?;
            client.send(PREFACE)?;
            client.get(1, "/")?;
            Ok(1)
        },
        // It reads as a frame of 5 263 945 bytes.
        &[
            GoAway(code::FRAME_SIZE_ERROR),
            GoAway(code::PROTOCOL_ERROR),
            Closed,
        ],
    ),
];

#[test]
fn a_connection_starts() {
    check(CASES);
}

#[test]
fn the_server_starts_with_settings() {
    let server = Server::start();
    let mut client = RawHttp2::connect_tcp(server.address);
    client.send(PREFACE).unwrap();
    client.frame(&Frame::settings(&[])).unwrap();
    let first = client.read().unwrap();
    assert_eq!((first.kind, first.stream), (kind::SETTINGS, 0), "{first:?}");
    assert!(
        !first.has(flag::ACK) && first.payload.len().is_multiple_of(6),
        "{first:?}"
    );
    let ack = client.wait_for(|frame| frame.kind == kind::SETTINGS);
    let ack = ack.unwrap();
    assert!(ack.has(flag::ACK) && ack.payload.is_empty(), "{ack:?}");
    // The acknowledgement of the client's is no condition of anything.
    assert!(matches!(client.fetch(1, "/"), Outcome::Served(200, _)));
}

#[test]
fn what_only_begins_as_the_preface_is_a_malformed_request() {
    let server = Server::start();
    for sent in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx",
    ] {
        let mut client = Client::connect(server.address);
        client.send(sent).unwrap();
        // By HTTP/1.1, or by HTTP/2 without the rest of a preface. A reset may come in place of both.
        let rest = client.rest().unwrap_or_default();
        let is_refused = rest.starts_with(b"HTTP/1.1 400 ") || rest.len() < 100;
        assert!(is_refused, "{sent:?}: {:?}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn there_is_no_upgrade_from_http_1() {
    // Section 3.1: the token h2c is not used any more.
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade, http2-settings\r\n\
                   upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    for _ in 0..2 {
        client.send(request).unwrap();
        let response = client.response().unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("upgrade"), None);
    }
}
