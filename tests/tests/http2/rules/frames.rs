//! Frames (RFC 9113 sections 4 and 6), without the settings and the windows.

use tests::http2::{Fields, Frame, RawHttp2, code, flag, kind};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Reset, Served},
        NEVER, case, check,
    },
};

const PROTOCOL: &[crate::case::Expect] = &[GoAway(code::PROTOCOL_ERROR)];

/// h2 reports a frame of a wrong length as `PROTOCOL_ERROR`, where the RFC has a code of its own.
const SIZE: &[crate::case::Expect] =
    &[GoAway(code::FRAME_SIZE_ERROR), GoAway(code::PROTOCOL_ERROR)];

const FRAMES: &[Case] = &[
    case(
        "4.1 frames of unknown types are ignored, wherever they are",
        |client| {
            client.frames(&[
                Frame::new(kind::UNKNOWN, 0xff, 0, vec![1; 1000]),
                Frame::new(kind::UNKNOWN, 0, 17, []),
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::new(kind::UNKNOWN, 1, 1, vec![0; 16_384]),
                Frame::data(1, flag::END_STREAM, "x"),
            ])?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "4.1 flags that a frame does not have are ignored",
        |client| {
            let mut ping = Frame::ping([7; 8]);
            ping.flags = 0xfe;
            client.frame(&ping)?;
            client.frame(&Frame::headers(1, flag::WHOLE | 0x42, Fields::get("/")))?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "4.1 the reserved bit of a stream is ignored",
        |client| {
            client.frame(&Frame::headers(0x8000_0001, flag::WHOLE, Fields::get("/")))?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "4.2 a frame may have 16 384 bytes",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, flag::END_STREAM, vec![0; 16_384]),
            ])?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "4.2 a DATA frame of more than that is an error",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, flag::END_STREAM, vec![0; 16_385]),
            ])?;
            Ok(1)
        },
        &[
            GoAway(code::FRAME_SIZE_ERROR),
            Reset(code::FRAME_SIZE_ERROR),
        ],
    ),
    case(
        "4.2 a HEADERS frame of more than that is an error of the connection",
        |client| {
            let fields = Fields::get("/").field("x", vec![b'x'; 16_384]);
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        &[GoAway(code::FRAME_SIZE_ERROR)],
    ),
    case(
        "4.2 an unknown frame of more than that is an error",
        |client| {
            client.frame(&Frame::new(kind::UNKNOWN, 0, 0, vec![0; 16_385]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[GoAway(code::FRAME_SIZE_ERROR)],
    ),
    case(
        "4.3 fields may come in many frames",
        |client| {
            let fields = Vec::from(Fields::get("/"));
            client.frame(&Frame::headers(1, flag::END_STREAM, &fields[..1]))?;
            client.frame(&Frame::continuation(1, 0, &fields[1..2]))?;
            client.frame(&Frame::continuation(1, 0, []))?;
            client.frame(&Frame::continuation(1, flag::END_HEADERS, &fields[2..]))?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "4.3 between them is no frame of another stream",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::headers(3, flag::WHOLE, Fields::get("/")),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "4.3 between them is no DATA frame",
        |client| {
            client.frames(&[
                Frame::headers(1, 0, Fields::post("/upload")),
                Frame::data(1, flag::END_STREAM, "x"),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "4.3 between them is no PRIORITY frame",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::priority(1, 0),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "4.3 between them is no PING frame",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::ping([0; 8]),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "4.3, 5.5 between them is no frame of an unknown type",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::new(kind::UNKNOWN, 0, 1, []),
                Frame::continuation(1, flag::END_HEADERS, []),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.1 DATA belongs to a stream",
        |client| {
            client.frame(&Frame::data(0, 0, "x"))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.1 padding is no part of the data",
        |client| {
            client.frames(&[
                Frame::headers(
                    1,
                    flag::END_HEADERS,
                    Fields::post("/upload").field("content-length", "3"),
                ),
                Frame::data(1, 0, "").padded(0),
                Frame::data(1, 0, "ab").padded(255),
                Frame::data(1, flag::END_STREAM, "c").padded(1),
            ])?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.1 padding is no longer than the frame",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, flag::PADDED | flag::END_STREAM, [6, 0, 0, 0, 0, 0]),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.1 a padded frame has the length of its padding",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, flag::PADDED | flag::END_STREAM, []),
            ])?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.2 HEADERS belong to a stream",
        |client| {
            client.frame(&Frame::headers(0, flag::WHOLE, Fields::get("/")))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.2 HEADERS may be padded",
        |client| {
            client.frame(&Frame::headers(1, flag::WHOLE, Fields::get("/")).padded(200))?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.2 the padding of HEADERS is no longer than the frame",
        |client| {
            client.frame(&Frame::headers(
                1,
                flag::WHOLE | flag::PADDED,
                [5, 0x82, 0x86],
            ))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.2 HEADERS may have a priority, and padding",
        |client| {
            let fields = Fields::new()
                .raw([0x80, 0, 0, 0, 255])
                .raw(Vec::from(Fields::get("/")));
            let flags = flag::WHOLE | flag::PRIORITY;
            client.frame(&Frame::headers(1, flags, fields).padded(9))?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.2 HEADERS are not shorter than their priority",
        |client| {
            client.frame(&Frame::headers(1, flag::WHOLE | flag::PRIORITY, [0, 0]))?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.3 PRIORITY may come for any stream, in any state",
        |client| {
            client.frames(&[Frame::priority(1, 0), Frame::priority(999, 7)])?;
            client.get(1, "/")?;
            let _ = client.outcome(1);
            client.frame(&Frame::priority(1, 3))?;
            client.get(3, "/")?;
            Ok(3)
        },
        &[Served(200)],
    ),
    case(
        "6.3 PRIORITY belongs to a stream",
        |client| {
            client.frame(&Frame::priority(0, 1))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.3 PRIORITY has 5 bytes",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::new(kind::PRIORITY, 0, 1, [0; 4]))?;
            Ok(1)
        },
        &[
            Reset(code::FRAME_SIZE_ERROR),
            GoAway(code::FRAME_SIZE_ERROR),
            GoAway(code::PROTOCOL_ERROR),
        ],
    ),
    case(
        "6.4 RST_STREAM belongs to a stream",
        |client| {
            client.frame(&Frame::reset(0, code::CANCEL))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.4 RST_STREAM has 4 bytes",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::new(kind::RST_STREAM, 0, 1, [0; 5]))?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.4, 7 RST_STREAM may have any code",
        |client| {
            for (stream, code) in [(1, code::NO_ERROR), (3, code::CANCEL), (5, u32::MAX)] {
                client.get(stream, NEVER)?;
                client.frame(&Frame::reset(stream, code))?;
            }
            client.get(7, "/")?;
            Ok(7)
        },
        &[Served(200)],
    ),
    case(
        "6.6, 8.4 a client sends no PUSH_PROMISE",
        |client| {
            client.get(1, NEVER)?;
            let payload = [vec![0, 0, 0, 2], Fields::get("/").into()].concat();
            client.frame(&Frame::new(
                kind::PUSH_PROMISE,
                flag::END_HEADERS,
                1,
                payload,
            ))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.7 PING belongs to the connection",
        |client| {
            client.frame(&Frame::new(kind::PING, 0, 1, [0; 8]))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.7 PING has 8 bytes",
        |client| {
            client.frame(&Frame::new(kind::PING, 0, 0, [0; 6]))?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.7 an acknowledgement of no PING is ignored",
        |client| {
            client.frame(&Frame::new(kind::PING, flag::ACK, 0, [9; 8]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.8 GOAWAY belongs to the connection",
        |client| {
            let mut frame = Frame::go_away(0, code::NO_ERROR);
            frame.stream = 1;
            client.frame(&frame)?;
            client.get(1, "/")?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.8 GOAWAY has at least 8 bytes",
        |client| {
            client.frame(&Frame::new(kind::GOAWAY, 0, 0, [0; 7]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.10 CONTINUATION belongs to a stream",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::continuation(0, flag::END_HEADERS, []),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.10 CONTINUATION belongs to the stream of its HEADERS",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_STREAM, Fields::get("/")),
                Frame::continuation(3, flag::END_HEADERS, []),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.10 CONTINUATION follows HEADERS",
        |client| {
            client.frame(&Frame::continuation(1, flag::END_HEADERS, Fields::get("/")))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.10 CONTINUATION does not follow the end of the fields",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::continuation(1, flag::END_HEADERS, []),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.10 CONTINUATION does not follow DATA",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, 0, "x"),
                Frame::continuation(1, flag::END_HEADERS, []),
            ])?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "10.5.1 CONTINUATION without an end is an attack",
        |client| {
            client.frame(&Frame::headers(1, flag::END_STREAM, Fields::get("/")))?;
            for _ in 0..100 {
                client.frame(&Frame::continuation(1, 0, []))?;
            }
            Ok(1)
        },
        &[GoAway(code::ENHANCE_YOUR_CALM)],
    ),
];

#[test]
fn frames_are_read_as_the_rfc_has_them() {
    check(FRAMES);
}

#[test]
fn a_ping_comes_back() {
    // Section 6.7: with the same payload, once, and not for an acknowledgement.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    client
        .frames(&[
            Frame::new(kind::PING, flag::ACK, 0, [1; 8]),
            Frame::ping([2; 8]),
            Frame::ping([3; 8]),
        ])
        .unwrap();
    for payload in [[2; 8], [3; 8]] {
        let pong = client.wait_for(|frame| frame.kind == kind::PING).unwrap();
        assert_eq!(pong, Frame::new(kind::PING, flag::ACK, 0, payload));
    }
}

#[test]
fn a_client_that_goes_away_gets_its_responses() {
    // Section 6.8, with a code that no one knows and some words.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    client.get(1, "/sleep/50").unwrap();
    let mut frame = Frame::go_away(0, 0xffff);
    frame.payload.extend(b"good bye");
    client.frame(&frame).unwrap();
    assert!(matches!(
        client.outcome(1),
        tests::http2::Outcome::Served(200, _)
    ));
    assert!(client.is_closed());
}
