//! The states of streams, and their numbers (RFC 9113 section 5).

use tests::http2::{Fields, Frame, Outcome, RawHttp2, code, flag, kind, setting};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Reset, Served},
        NEVER, case, check,
    },
};

const PROTOCOL: &[crate::case::Expect] = &[GoAway(code::PROTOCOL_ERROR)];

/// After a stream's end, a server may forget it, and then cannot know which error it is.
const ENDED: &[crate::case::Expect] = &[
    Reset(code::STREAM_CLOSED),
    GoAway(code::STREAM_CLOSED),
    GoAway(code::PROTOCOL_ERROR),
];

/// Opens stream 1 and closes it, as both sides have said all.
fn used(client: &mut RawHttp2) {
    let outcome = client.fetch(1, "/");
    assert!(matches!(outcome, Outcome::Served(200, _)), "{outcome:?}");
}

const CASES: &[Case] = &[
    case(
        "5.1 no DATA on a stream that is idle",
        |client| {
            client.frame(&Frame::data(1, flag::END_STREAM, "x"))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "5.1 no RST_STREAM on a stream that is idle",
        |client| {
            client.frame(&Frame::reset(1, code::CANCEL))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "5.1 no WINDOW_UPDATE on a stream that is idle",
        |client| {
            client.frame(&Frame::window_update(1, 1))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "5.1 no DATA after the end of the request",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::data(1, flag::END_STREAM, "x"))?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no HEADERS after the end of the request",
        |client| {
            client.get(1, NEVER)?;
            client.get(1, "/")?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no CONTINUATION after the end of the request",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::continuation(1, flag::END_HEADERS, []))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "5.1 WINDOW_UPDATE, PRIORITY and RST_STREAM may follow the end of the request",
        |client| {
            client.get(1, NEVER)?;
            client.frames(&[
                Frame::window_update(1, 100),
                Frame::priority(1, 0),
                Frame::reset(1, code::CANCEL),
            ])?;
            client.get(3, "/")?;
            Ok(3)
        },
        &[Served(200)],
    ),
    case(
        "5.1 no DATA after RST_STREAM",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::reset(1, code::CANCEL),
                Frame::data(1, flag::END_STREAM, "x"),
            ])?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no HEADERS after RST_STREAM",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::reset(1, code::CANCEL))?;
            client.get(1, "/")?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no DATA on a stream that has ended",
        |client| {
            used(client);
            client.frame(&Frame::data(1, flag::END_STREAM, "x"))?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no HEADERS on a stream that has ended",
        |client| {
            used(client);
            client.get(1, "/")?;
            Ok(1)
        },
        ENDED,
    ),
    case(
        "5.1 no CONTINUATION on a stream that has ended",
        |client| {
            used(client);
            client.frame(&Frame::continuation(1, flag::END_HEADERS, []))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "5.1 WINDOW_UPDATE, PRIORITY and RST_STREAM may come late",
        |client| {
            used(client);
            client.frames(&[
                Frame::window_update(1, 100),
                Frame::priority(1, 0),
                Frame::reset(1, code::CANCEL),
            ])?;
            client.get(3, "/")?;
            Ok(3)
        },
        &[Served(200)],
    ),
    case(
        "5.1.1 streams of a client have odd numbers",
        |client| {
            client.get(2, "/")?;
            Ok(2)
        },
        PROTOCOL,
    ),
    case(
        "5.1.1 numbers increase",
        |client| {
            client.get(5, NEVER)?;
            client.get(3, "/")?;
            Ok(3)
        },
        // Stream 3 was closed when stream 5 was opened.
        &[GoAway(code::PROTOCOL_ERROR), GoAway(code::STREAM_CLOSED)],
    ),
    case(
        "5.1.1 numbers may be skipped",
        |client| {
            client.get(101, "/")?;
            let _ = client.outcome(101);
            client.get(775, "/")?;
            Ok(775)
        },
        &[Served(200)],
    ),
    case(
        "5.3.1 a stream that depends on itself is no error of the connection",
        |client| {
            let fields = Fields::new()
                .raw([0, 0, 0, 1, 15])
                .raw(Vec::from(Fields::get("/")));
            client.frame(&Frame::headers(1, flag::WHOLE | flag::PRIORITY, fields))?;
            Ok(1)
        },
        &[Served(200), Reset(code::PROTOCOL_ERROR)],
    ),
    case(
        "5.3.1 nor is a PRIORITY frame of that kind",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::priority(1, 1))?;
            client.get(3, "/")?;
            Ok(3)
        },
        &[Served(200)],
    ),
    case(
        "5.4.1 after an error of the connection nothing is served",
        |client| {
            client.frame(&Frame::window_update(0, 0))?;
            client.get(1, "/")?;
            Ok(1)
        },
        PROTOCOL,
    ),
];

#[test]
fn streams_have_states() {
    check(CASES);
}

#[test]
fn the_last_number_can_be_used() {
    // Section 5.1.1: after it, a client needs another connection.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let last = (1 << 31) - 1;
    assert!(matches!(client.fetch(last, "/"), Outcome::Served(200, _)));
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    // Section 5.1.2: and those that have ended do not count.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let streams: Vec<u32> = (0..128).map(|number| number * 2 + 1).collect();
    for stream in &streams {
        client.get(*stream, NEVER).unwrap();
    }
    for refused in [257, 259] {
        assert_eq!(
            client.fetch(refused, "/"),
            Outcome::Reset(code::REFUSED_STREAM)
        );
    }
    client.frame(&Frame::reset(1, code::CANCEL)).unwrap();
    assert!(matches!(client.fetch(261, "/"), Outcome::Served(200, _)));
    client.frame(&Frame::reset(3, code::CANCEL)).unwrap();
    // Its body may still be on the way when the response is there.
    client
        .frame(&Frame::headers(
            263,
            flag::END_HEADERS,
            Fields::post("/upload"),
        ))
        .unwrap();
    client.frame(&Frame::data(263, 0, "x")).unwrap();
    client
        .frame(&Frame::data(263, flag::END_STREAM, "x"))
        .unwrap();
    assert_eq!(client.outcome(263), Outcome::Served(200, b"2".to_vec()));
}

#[test]
fn responses_come_in_any_order() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    client.get(1, NEVER).unwrap();
    client
        .frame(&Frame::headers(
            3,
            flag::END_HEADERS,
            Fields::post("/upload"),
        ))
        .unwrap();
    for stream in (5..105).step_by(2) {
        assert!(matches!(client.fetch(stream, "/"), Outcome::Served(200, _)));
    }
    client
        .frame(&Frame::data(3, flag::END_STREAM, "abc"))
        .unwrap();
    assert_eq!(client.outcome(3), Outcome::Served(200, b"3".to_vec()));
}

#[test]
fn a_client_without_room_for_streams_has_its_own() {
    // Section 6.5.2: its limit is for streams of the server, of which there are none.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[(setting::MAX_CONCURRENT_STREAMS, 0)]);
    assert!(matches!(client.fetch(1, "/"), Outcome::Served(200, _)));
    assert!(
        client
            .seen
            .iter()
            .all(|frame| frame.kind != kind::PUSH_PROMISE)
    );
}
